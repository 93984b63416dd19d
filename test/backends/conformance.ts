import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import type { FailureCode } from '../../domain/failure.ts';
import { linesOf, outputOf, type AttemptOptions, type Told } from './stand.ts';

/** What a backend under test promises. */
export interface Shape {
  isolation: string;
  /** What the kernel enforces and tells of, so that it has a code of its own. */
  tells: ReadonlySet<string>;
  /** Nothing but the output folder and /tmp can be written, and there is no network. */
  walled: boolean;
}

/** Runs a POSIX sh script under the container contract. */
export type RunScript = (script: string, options?: AttemptOptions) => Promise<Told>;

/** The cases that every attended backend passes; a new backend is one more call of this. */
export function conformance(shape: Shape, start: () => Promise<RunScript>): void {
  let run: RunScript;
  beforeAll(async () => {
    run = await start();
  });
  const refusedAs = async (script: string, code: FailureCode, options?: AttemptOptions): Promise<Told> => {
    const told = await run(script, options);
    expect(told.outcome.failure, linesOf(told, 'stderr').join('\n')).toMatchObject({ code });
    return told;
  };

  test('stdout is the output, byte for byte, when there is no output.json', async () => {
    const told = await run(String.raw`printf 'a\nb\377\000c'; echo seen >&2`);
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('a\nb\xff\0c');
    expect(linesOf(told, 'stdout')).toEqual(['a', 'b\uFFFD\uFFFDc']);
    expect(linesOf(told, 'stderr')).toEqual(['seen']);
    expect(told.outcome).toMatchObject({
      exitCode: 0,
      isolation: shape.isolation,
      imageExecuted: expect.any(String),
    });
    expect(told.outcome.durationMs).toBeGreaterThan(0);
    expect(Date.parse(told.outcome.startedAt!)).toBeGreaterThan(Date.now() - 60_000);
  });

  test('output.json is the output, everything else in the folder an artifact', async () => {
    const told = await run(
      `echo noise; cd "$BEACON_OUTPUT_DIR"; echo '{"answer":42}' > output.json; mkdir -p a/b; echo deep > a/b/c.txt; echo x > plot.png`,
    );
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('{"answer":42}\n');
    expect(told.outcome.files.map(({ name, mime, size }) => ({ name, mime, size }))).toEqual([
      { name: 'a/b/c.txt', mime: 'text/plain', size: 5 },
      { name: 'plot.png', mime: 'image/png', size: 2 },
    ]);
    expect(told.stored.get(told.outcome.files[0]!.sha256)?.toString()).toBe('deep\n');
  });

  test('the input is there to read and not to write', async () => {
    const told = await run('cat "$BEACON_INPUT"; (echo x > "$BEACON_INPUT") 2>/dev/null && echo written');
    expect(outputOf(told)).toBe('{"question":"why?"}');
  });

  test('a job’s environment is set behind a wall and refused without one', async () => {
    const told = await run('echo "$GREETING"', {
      work: { environment: { GREETING: 'hello "world" $HOME' } },
    });
    if (shape.walled) expect(outputOf(told)).toBe('hello "world" $HOME\n');
    else expect(told.outcome).toMatchObject({ failure: { code: 'work_invalid' }, startedAt: null });
  });

  test('the worker’s own environment is nowhere', async () => {
    process.env.BEACON_TEST_SECRET = 'do-not-leak';
    const told = await run('env; cat /proc/1/environ /proc/self/environ 2>/dev/null');
    expect(outputOf(told)).toContain('BEACON_INPUT=');
    expect(outputOf(told)).not.toContain('do-not-leak');
    expect(outputOf(told)).not.toContain('DATABASE_URL');
  });

  test('/dev/stderr can be opened like any file', async () => {
    const told = await run('echo out > /dev/stdout; echo err > /dev/stderr');
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('out\n');
    expect(linesOf(told, 'stderr')).toEqual(['err']);
  });

  test('an exit code is told, with what the program had said', async () => {
    const told = await refusedAs('echo partial; exit 3', 'exit_nonzero');
    expect(told.outcome.failure?.message).toContain('3');
    expect(told.outcome.exitCode).toBe(3);
    expect(outputOf(told)).toBe('partial\n');
  });

  test('bytes that are no text are kept as they are', async () => {
    const told = await run(
      String.raw`printf '\377\376\000\001' > "$BEACON_OUTPUT_DIR/picture.bin"; printf '\000\001\200\377'`,
    );
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('\x00\x01\x80\xff');
    const [picture] = told.outcome.files;
    expect([...told.stored.get(picture!.sha256)!]).toEqual([255, 254, 0, 1]);
  });

  test('a program that leaves nothing has no output', () => refusedAs(':', 'no_output'));
  test('an output.json that is no JSON is refused', () =>
    refusedAs('echo "{oops" > "$BEACON_OUTPUT_DIR/output.json"', 'output_invalid'));
  test('an output.json that is too large is refused', () =>
    refusedAs('head -c 1100000 /dev/zero > "$BEACON_OUTPUT_DIR/output.json"', 'output_too_large'));
  test('stdout beyond its bound ends the program at once', () =>
    refusedAs('head -c 2000000 /dev/zero; sleep 300', 'output_too_large'));

  test('a flood on stderr ends the program at once', () =>
    refusedAs('head -c 40000000 /dev/zero >&2; sleep 300', 'output_too_large'));
  test('standard input is empty and ends at once', async () => {
    expect(outputOf(await run('cat; echo over'))).toBe('over\n');
  });

  test('a program that ignores every signal is ended by its budget', () =>
    refusedAs('trap "" HUP INT QUIT TERM XCPU USR1 USR2; while :; do sleep 1; done', 'attempt_timeout', {
      budgetMs: 1_500,
    }));

  test('the budget ends the whole tree', async () => {
    const told = await refusedAs('echo begun; sleep 61.25 & sleep 61.25', 'attempt_timeout', {
      budgetMs: 1_500,
    });
    expect(told.outcome.durationMs).toBeGreaterThan(500);
    expect(told.outcome.exitCode).toBeNull();
    expect(running('61.25')).toEqual([]);
  });

  test('an abort ends the whole tree and is told as it came', async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled by the user');
    await expect(
      run('echo begun; sleep 62.25 & sleep 62.25', {
        signal: controller.signal,
        onLine: () => controller.abort(reason),
      }),
    ).rejects.toBe(reason);
    expect(running('62.25')).toEqual([]);
  });

  test('a child in a session of its own does not outlive the program', async () => {
    const told = await run(
      '(setsid sleep 63.25 > /dev/null 2>&1 &) ; (setsid sh -c "sleep 63.25 &" &); echo done',
    );
    expect(told.outcome.failure).toBeUndefined();
    expect(running('63.25')).toEqual([]);
  });

  test('a link among the outputs is refused', () =>
    refusedAs('echo x; ln -s /etc/passwd "$BEACON_OUTPUT_DIR/secret.txt"', 'file_link_refused'));
  test('a link to a folder among the outputs is refused', () =>
    refusedAs('echo x; ln -s /etc "$BEACON_OUTPUT_DIR/folder"', 'file_link_refused'));
  test('an output.json that is a link is refused', () =>
    refusedAs('ln -s /etc/passwd "$BEACON_OUTPUT_DIR/output.json"', 'file_link_refused'));
  test('a FIFO among the outputs is refused without waiting for it', () =>
    refusedAs('echo x; mkfifo "$BEACON_OUTPUT_DIR/pipe"', 'file_special_refused'));
  test('a name outside the alphabet is refused', () =>
    refusedAs('echo x; echo y > "$BEACON_OUTPUT_DIR/a b"', 'file_name_refused'));
  test('folders beyond four levels are refused', () =>
    refusedAs('echo x; mkdir -p "$BEACON_OUTPUT_DIR/1/2/3/4/5"', 'file_name_refused'));
  test('more than 64 files are refused', () =>
    refusedAs(
      'i=0; while [ $i -lt 65 ]; do : > "$BEACON_OUTPUT_DIR/$i"; i=$((i+1)); done; echo x',
      'files_too_many',
    ));
  test('a sparse giant is refused', () =>
    refusedAs('echo x; truncate -s 1000G "$BEACON_OUTPUT_DIR/giant"', 'file_too_large'));
  test('sparse files that are too large together are refused', () =>
    refusedAs('echo x; cd "$BEACON_OUTPUT_DIR"; truncate -s 40M a; truncate -s 40M b', 'file_too_large'));
  test('a file that grows beyond what is allowed is refused', () =>
    refusedAs('head -c 70000000 /dev/zero > "$BEACON_OUTPUT_DIR/big" || exit $?; echo x', 'file_too_large'));
  test('a file that was cut off by a limit is refused, though the program went on', () =>
    refusedAs('head -c 70000000 /dev/zero > "$BEACON_OUTPUT_DIR/big"; echo x', 'file_too_large'));
  test('files that grow too large together end the program', () =>
    refusedAs(
      'cd "$BEACON_OUTPUT_DIR"; for i in 1 2 3; do head -c 30000000 /dev/zero > $i; done; sleep 300',
      'file_too_large',
    ));
  test('a flood of files ends the program', () =>
    refusedAs(
      'cd "$BEACON_OUTPUT_DIR"; i=0; while [ $i -lt 2500 ]; do : > $i; i=$((i+1)); done; sleep 300',
      'files_too_many',
    ));
  test('files of exactly 64 are taken', async () => {
    const told = await run(
      'i=0; while [ $i -lt 64 ]; do : > "$BEACON_OUTPUT_DIR/$i"; i=$((i+1)); done; echo x',
    );
    expect(told.outcome.failure).toBeUndefined();
    expect(told.outcome.files).toHaveLength(64);
  });

  test('a job cannot set Beacon’s own variables', () =>
    refusedAs('echo x', 'work_invalid', { work: { environment: { BEACON_OUTPUT_DIR: '/' } } }));
  test('resources that are no quantity are refused', () =>
    refusedAs('echo x', 'work_invalid', { work: { resources: { memory: 'lots' } } }));

  test('too much memory kills the job, under a code of its own where the kernel tells', async () => {
    const told = await run('head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null; exit 9', {
      work: { resources: { memory: '64Mi' } },
    });
    expect(told.outcome.failure?.code).toBe(shape.tells.has('memory') ? 'memory_limit' : 'exit_nonzero');
    expect(told.outcome.limits.memory_bytes).toBe(shape.tells.has('memory') ? 64 * 1024 * 1024 : null);
  });

  test('a program that gets over the loss of a child has not failed', async () => {
    const told = await run('(head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null); echo survived', {
      work: { resources: { memory: '64Mi' } },
    });
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('survived\n');
  });

  test('a fork bomb stops at the limit', async () => {
    const told = await run('i=0; while [ $i -lt 500 ]; do sleep 64.25 & i=$((i+1)); done; echo all; exit 1', {
      budgetMs: 10_000,
    });
    expect(told.outcome.failure).toBeDefined();
    // Where no limit is claimed none is owed; the tree ends all the same.
    if (told.outcome.limits.pids !== null) expect(outputOf(told) ?? '').not.toContain('all');
    if (shape.tells.has('pids')) expect(told.outcome.failure?.code).toBe('pids_limit');
    expect(running('64.25')).toEqual([]);
  });

  test('what is claimed as a limit is a number or nothing', async () => {
    const { outcome } = await run('echo x');
    expect(Object.keys(outcome.limits).sort()).toEqual(
      'cpu_cores cpu_seconds file_bytes folder_bytes memory_bytes network open_files pids stdout_bytes tmp_bytes wall_ms'.split(
        ' ',
      ),
    );
    for (const value of Object.values(outcome.limits))
      expect(value === null || Number.isSafeInteger(value)).toBe(true);
    expect(outcome.limits.network).toBe(shape.walled ? 0 : null);
  });

  if (!shape.walled) return;

  test('only the output folder and /tmp can be written', async () => {
    const told = await run(
      'for place in / /bin /etc /usr /dev /dev/shm /var/tmp /run /proc /sys /beacon /beacon/in /root /home; do (: > $place/x) 2>/dev/null && echo "$place"; done; (: > /tmp/x) && echo tmp',
    );
    expect(outputOf(told)).toBe('tmp\n');
  });

  test('there is no network but its own loopback', async () => {
    const told = await run("grep : /proc/net/dev | sed 's/:.*//; s/ //g'");
    expect(outputOf(told)).toBe('lo\n');
  });
}

/** Processes of the whole machine that carry a word in their command line. */
export function running(word: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .filter((name) => {
      try {
        // The shell that was told the word in a longer script is meant as well.
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(word);
      } catch {
        return false;
      }
    })
    .map(Number);
}
