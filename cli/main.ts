import { main } from './command-line.ts';
import { processIo } from './process-io.ts';

process.exit(await main(process.argv.slice(2), processIo()));
