import type { Command } from 'commander';
import { examples, type Run } from './run.ts';

/** `ipfs`: what an operator asks of the block store and the places outside. */
export function ipfsCommands(program: Command, run: Run): void {
  const ipfs = program
    .command('ipfs')
    .description(
      'the block store and where it is published (DATABASE_URL, or the stack of the state folder)',
    );
  examples(ipfs, ['beacon ipfs check']);
  examples(
    ipfs
      .command('check')
      .description(
        'store, read back, hash, export as CAR, import into the configured Kubo, compare the roots',
      )
      .action((_options: object, command: Command) =>
        run(command, async (context) => (await import('../ipfs/check.ts')).checkIpfs(context)),
      ),
    ['beacon ipfs check', 'IPFS_NODE_URL=http://127.0.0.1:5001 beacon ipfs check --json'],
  );
}
