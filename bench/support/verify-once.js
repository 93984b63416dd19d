// Milliseconds of the first verification in this process. node bench/support/verify-once.js <bundle> <vkey>
import { readFileSync } from 'node:fs';
import { verifyBundleFile } from '../../dist/cli/verify/verify-file.js';

const [file, vkey] = process.argv.slice(2);
const bytes = readFileSync(file);
const began = performance.now();
const verdict = verifyBundleFile(bytes, { vkeys: [vkey] });
const took = performance.now() - began;
if (!verdict.ok) throw new Error(`${verdict.link}: ${verdict.reason}`);
console.log(took);
