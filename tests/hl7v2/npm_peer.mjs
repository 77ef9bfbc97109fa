// MLLP peers of npm packages.
//   node npm_peer.mjs server PACKAGE        acknowledges everything; prints its port, then each message in JSON
//   node npm_peer.mjs client PACKAGE PORT   sends the message on standard input; prints the answer in JSON
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [, , role, name, port] = process.argv;
const require = createRequire(path.join(process.cwd(), 'x.js'));
const say = (value) => console.log(JSON.stringify(value));
const host = '127.0.0.1';

if (role === 'server') {
  if (name === 'simple-hl7') {
    const app = require('simple-hl7').tcp();
    app.use((request, response, next) => { say(request.msg.toString()); response.end(); });
    app.start({ host, port: 0 });
    app.server.server.on('listening', () => say(app.server.server.address().port));
  } else {
    const { Hl7Server } = require('@medplum/hl7');
    const server = new Hl7Server((connection) => {
      connection.addEventListener('message', ({ message }) => {
        say(message.toString());
        connection.send(message.buildAck());
      });
    });
    server.start(0);
    server.server.on('listening', () => say(server.server.address().port));
  }
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
} else {
  const text = readFileSync(0, 'utf-8');
  if (name === 'simple-hl7') {
    const hl7 = require('simple-hl7');
    const client = hl7.Server.createTcpClient({ host, port: Number(port) });
    client.send(new hl7.Parser().parse(text), (error, answer) => {
      say(error ? `error ${error}` : answer.toString());
      process.exit(0);
    });
  } else {
    const { Hl7Client } = require('@medplum/hl7');
    const { Hl7Message } = require('@medplum/core');
    const client = new Hl7Client({ host, port: Number(port) });
    const answer = await client.sendAndWait(Hl7Message.parse(text));
    say(answer.toString());
    client.close();
  }
}
