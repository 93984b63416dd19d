import { main } from './command-line.ts';
import { flushed, processIo } from './process-io.ts';

const exitCode = await main(process.argv.slice(2), processIo());
await flushed();
process.exit(exitCode);
