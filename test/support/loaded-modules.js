// With `--import`: writes down at its end which CommonJS modules a process had loaded, as the SDK of OpenTelemetry is.
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { cache } = createRequire(import.meta.url);
process.on('exit', () => {
  if (process.env.LOADED_MODULES_FILE !== undefined)
    writeFileSync(process.env.LOADED_MODULES_FILE, JSON.stringify(Object.keys(cache)));
});
