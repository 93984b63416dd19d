// Run by embedded/stack.test.ts in a process of its own, to be killed: a stack with stand-in roles in the folder given.
import path from 'node:path';
import { startStack } from '../../embedded/stack.ts';

const [, , stateFolder = '', sharedRoot = ''] = process.argv;
const stack = await startStack({
  stateFolder,
  sharedRoot,
  roleCommand: (role) => ({
    program: process.execPath,
    words: [path.join(import.meta.dirname, 'stand-in-role.js'), role],
  }),
});
console.log(JSON.stringify({ url: stack.databaseUrl(), state: stack.state() }));
setInterval(() => undefined, 60_000);
