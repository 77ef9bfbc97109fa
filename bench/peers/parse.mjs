// Parse one message and read ten fields with npm parsers. Reads {raw, ten, expected, folder} as JSON from
// standard input, prints {name: microseconds}. The ten fields are checked before anything is timed.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const { raw, ten, expected, folder } = JSON.parse(readFileSync(0, 'utf8'));
const require = createRequire(path.join(folder, 'node_modules', 'x.js'));
const subjects = {};

const medplum = require('@medplum/core');
subjects['@medplum/core (Node)'] = () => {
  const message = medplum.Hl7Message.parse(raw);
  return ten.map(([segment, field, component]) => {
    const found = message.getSegment(segment).getField(field);
    return component ? found.getComponent(component) : found.toString();
  });
};

const simple = require('simple-hl7');
const parser = new simple.Parser();
subjects['simple-hl7 (Node)'] = () => {
  const message = parser.parse(raw);
  return ten.map(([segment, field, component]) => {
    const from = segment === 'MSH' ? message.header : message.getSegment(segment);
    const number = segment === 'MSH' ? field - 2 : field;
    if (!component) return from.getField(number);
    // Its getComponent does not see into repeated fields.
    return from.getComponent(number, component) || from.getField(number).split('~')[0].split('^')[component - 1];
  });
};

const result = {};
for (const [name, call] of Object.entries(subjects)) {
  const got = call();
  if (JSON.stringify(got) !== JSON.stringify(expected)) {
    console.error(`${name} read ${JSON.stringify(got)}`);
    continue;
  }
  for (let i = 0; i < 2000; i++) call();
  let bestRound = Infinity;
  for (let round = 0; round < 5; round++) {
    const loops = 4000;
    const begin = process.hrtime.bigint();
    for (let i = 0; i < loops; i++) call();
    bestRound = Math.min(bestRound, Number(process.hrtime.bigint() - begin) / loops / 1000);
  }
  result[name] = bestRound;
}
console.log(JSON.stringify(result));
