// A role that does nothing but keep the rules of roles: says ready, drains on SIGTERM, ends when its supervisor is gone.
// STAND_IN_STUBBORN names a role that does not see its supervisor go. STAND_IN_BROKEN names one that fails.
import { appendFileSync } from 'node:fs';
import path from 'node:path';

const name = process.argv[2];
const note = (what) => appendFileSync(path.join(process.env.BEACON_STATE, 'notes'), `${name} ${what}\n`);
if (process.env.STAND_IN_BROKEN === name) {
  console.log(JSON.stringify({ level: 50, msg: 'cannot start', err: { message: 'the reason' } }));
  process.exit(1);
}
process.on('SIGTERM', () => {
  note('drained');
  process.exit(0);
});
process.on('disconnect', () => {
  if (process.env.STAND_IN_STUBBORN !== name) process.exit(0);
});
setInterval(() => undefined, 1_000);
process.send({ ready: true, ...(name === 'api' ? { url: 'http://127.0.0.1:8090' } : {}) });
