// Run by embedded/postgres/server.test.ts as an ordinary user: starts PostgreSQL in the folder given, says who it runs
// as, stops it.
import { statSync } from 'node:fs';
import path from 'node:path';
import { serverAccount } from '../../embedded/account.ts';
import { startPostgres } from '../../embedded/postgres/server.ts';

const folder = process.argv[2] ?? '';
await using server = await startPostgres({
  secretsFolder: folder,
  folder,
  logFile: path.join(folder, 'postgres.log'),
  account: await serverAccount(),
});
const { uid } = statSync(`/proc/${server.identity.pid}`);
console.log(`uid ${process.getuid?.() ?? ''}, server uid ${uid}`);
