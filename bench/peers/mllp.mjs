// An MLLP server of an npm package that acknowledges from memory: nothing is stored, nothing is routed.
// node mllp.mjs NAME FOLDER; prints {"port": n}; ends with its standard input.
import { createRequire } from 'node:module';
import path from 'node:path';

const [, , name, folder] = process.argv;
const require = createRequire(path.join(folder, 'node_modules', 'x.js'));
const where = { host: '127.0.0.1', port: 0 };
const ready = (server) => server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));

if (name === 'simple-hl7') {
  const app = require('simple-hl7').tcp();
  app.use((request, response, next) => response.end());
  app.start(where);
  ready(app.server.server);
} else {
  const { Hl7Server } = require('@medplum/hl7');
  const server = new Hl7Server((connection) => {
    connection.addEventListener('message', ({ message }) => connection.send(message.buildAck()));
  });
  server.start(where);
  ready(server.server);
}
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
