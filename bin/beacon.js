#!/usr/bin/env -S MALLOC_ARENA_MAX=2 node
// In a checkout the sources are built on first use and after a change; an installed package ships dist/.
import { existsSync } from 'node:fs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 11)) {
  console.error(`beacon needs Node 20.11 or newer; this is ${process.version}.`);
  process.exit(1);
}
if (existsSync(new URL('../tsconfig.build.json', import.meta.url))) {
  const { isStale, build } = await import('../tools/build.js');
  if (isStale()) {
    process.stderr.write('beacon: building (once after a change) ...');
    const began = Date.now();
    await build();
    process.stderr.write(` done in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  }
}
await import('../dist/cli/main.js');
