// Fails when a package that must exist once (a second copy breaks type identity at run time) is installed twice.
import { readFileSync } from 'node:fs';

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
const versions = new Map();
for (const [location, entry] of Object.entries(lock.packages)) {
  const name = location.split('node_modules/').at(-1);
  if (!name?.startsWith('@temporalio/')) continue;
  versions.set(entry.version, [...(versions.get(entry.version) ?? []), location]);
  const copy = location.split('node_modules/').length > 2;
  if (copy) throw new Error(`second copy of ${name} at ${location}`);
}
if (versions.size !== 1)
  throw new Error(`@temporalio packages differ: ${JSON.stringify([...versions.keys()])}`);
const protobufjs = lock.packages['node_modules/protobufjs']?.version ?? '';
if (!protobufjs.startsWith('8.')) throw new Error(`protobufjs at top level is ${protobufjs}, must be 8.x`);
for (const location of Object.keys(lock.packages)) {
  if (/@temporalio\/[^/]+\/node_modules\/protobufjs$/.test(location))
    throw new Error(`private protobufjs at ${location}`);
}
console.log(`one version: @temporalio ${[...versions.keys()][0]}, protobufjs ${protobufjs}`);
