import { InvalidArgumentError, type Command } from 'commander';
import { examples, type Run } from './run.ts';

const QUEUE = /^[a-z0-9][a-z0-9-]{0,63}$/;

function queueList(text: string): string[] {
  const queues = text.split(',').map((queue) => queue.trim());
  if (queues.every((queue) => QUEUE.test(queue))) return queues;
  throw new InvalidArgumentError(
    'expected task queues separated by commas, for example beacon,backend-local',
  );
}

/** `serve`, `worker`, `relay`, `migrate`: one process each, configured by the environment (docs/configuration.md). */
export function roleCommands(program: Command, run: Run): void {
  const role = (name: 'serve' | 'worker' | 'relay' | 'migrate', description: string): Command =>
    program.command(name).description(description);

  examples(
    role('serve', 'the API (DATABASE_URL)').action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/role.ts')).role(context, 'serve', {})),
    ),
    ['DATABASE_URL=postgres://... beacon serve'],
  );
  examples(
    role('worker', 'Temporal workers (DATABASE_URL, TEMPORAL_ADDRESS)')
      .option('--queues <list>', 'only these task queues, separated by commas', queueList)
      .action((options: { queues?: string[] }, command: Command) =>
        run(command, async (context) => (await import('../stack/role.ts')).role(context, 'worker', options)),
      ),
    ['beacon worker', 'beacon worker --queues backend-local'],
  );
  examples(
    role('relay', 'outbox, log sequencer, feed positions, reconciler; any number may run').action(
      (_options, command: Command) =>
        run(command, async (context) => (await import('../stack/role.ts')).role(context, 'relay', {})),
    ),
    ['beacon relay'],
  );
  examples(
    role('migrate', 'bring the database up to date; as its owner').action((_options, command: Command) =>
      run(command, async (context) => (await import('../stack/role.ts')).role(context, 'migrate', {})),
    ),
    ['DATABASE_URL=postgres://owner@... beacon migrate'],
  );
}
