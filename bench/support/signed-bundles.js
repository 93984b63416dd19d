// Prints the bundles of a job of three regions, made as the tests make them: keys, signatures and proofs are real.
// node --import test/support/typescript-loader.js bench/support/signed-bundles.js
import { signedJob } from '../../test/support/signed-job.ts';

const { execution, job, trust } = await signedJob();
console.log(JSON.stringify({ execution, job, vkey: trust.vkeys[0] }));
