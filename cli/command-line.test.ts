import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recordedIo, type RecordedIoOptions } from '../test/support/recorded-io.ts';
import { main } from './command-line.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function beacon(argv: string[], options: RecordedIoOptions = {}) {
  const io = recordedIo({ cwd: folder, env: { HOME: folder }, ...options });
  const code = await main(argv, io);
  return { code, out: io.out(), err: io.err() };
}

const at = (name: string): string => path.join(folder, name);
const SPEC = {
  version: '1.0',
  benchmark: {
    name: 'test',
    container: { image: 'builtin:echo' },
    input: { type: 'prompt', data: {}, hash: 'sha256:0' },
  },
  constraints: { regions: ['US', 'EU'] },
  questions: ['one?', 'two?'],
};

describe('help and usage', () => {
  test('help of the program and of every command goes to standard output and is no error', async () => {
    const top = await beacon(['--help']);
    expect(top).toMatchObject({ code: 0, err: '' });
    expect(top.out).toContain('beacon verify');
    const commands = [...top.out.matchAll(/^ {2}([a-z]+)[ |]/gm)].map(([, name]) => name ?? '');
    expect(commands).toEqual(
      expect.arrayContaining(['up', 'down', 'submit', 'job', 'verify', 'demo', 'config']),
    );
    for (const name of commands.filter((name) => name !== 'help' && name !== 'beacon')) {
      const { code, out } = await beacon([name, '--help']);
      expect([name, code]).toEqual([name, 0]);
      expect(out).toContain(`Usage: beacon ${name}`);
      if (!['job', 'execution', 'receipt', 'golem', 'breakers'].includes(name))
        expect(out).toContain('Examples:');
    }
  });

  test('a mistake is one line on standard error, with code 2', async () => {
    for (const argv of [
      ['--nonsense'],
      ['submit'],
      ['nosuch'],
      ['job', 'list', '--limit', '0'],
      ['submit', 'x', '--wait', '--watch'],
    ]) {
      const { code, out, err } = await beacon(argv);
      expect([argv, code, out]).toEqual([argv, 2, '']);
      expect(err).toMatch(/^beacon: [^\n]+ → [^\n]+\n$/);
    }
  });

  test('a group without its command shows its help and code 2', async () => {
    const { code, err } = await beacon(['job']);
    expect(code).toBe(2);
    expect(err).toContain('Usage: beacon job');
  });

  test('--version is the one of package.json', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(await beacon(['--version'])).toMatchObject({ code: 0, out: `${version}\n` });
    expect(JSON.parse((await beacon(['--version', '--json'])).out)).toEqual({ version });
  });
});

describe('keygen and sign', () => {
  test('a key file is private, is never written over, and its public half alone is printed', async () => {
    const made = await beacon(['keygen', '--out', 'k.pem']);
    expect(made.code).toBe(0);
    expect(Buffer.from(made.out.trim(), 'base64')).toHaveLength(32);
    expect((await stat(at('k.pem'))).mode & 0o777).toBe(0o600);
    const pem = await readFile(at('k.pem'), 'utf8');
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    const again = await beacon(['keygen', '--out', 'k.pem']);
    expect(again.code).toBe(2);
    expect(await readFile(at('k.pem'), 'utf8')).toBe(pem);
  });

  test('a named folder that is not there is a mistake, and is not made', async () => {
    const { code, err } = await beacon(['keygen', '--out', 'keys/k.pem']);
    expect(code).toBe(2);
    expect(err).toContain('keys/k.pem: no such file or folder');
    await expect(stat(at('keys'))).rejects.toThrow('ENOENT');
  });

  test('a key file that others can read is refused, with the way out', async () => {
    await beacon(['keygen', '--out', 'k.pem']);
    const { chmod } = await import('node:fs/promises');
    await chmod(at('k.pem'), 0o644);
    await writeFile(at('spec.json'), JSON.stringify(SPEC));
    const { code, err } = await beacon(['sign', 'spec.json', '--key', 'k.pem']);
    expect(code).toBe(2);
    expect(err).toContain('mode 0644');
    expect(err).toContain('chmod 600');
  });

  test('signing keeps order and text of what is there, and says what it put in', async () => {
    const written =
      '{"zeta": 1, "10": "ten", "2": "two", "alpha": {"b": null, "a": [1, 2.50]}, "metadata": {"tags": []}}';
    await writeFile(at('spec.json'), written);
    const { code, err } = await beacon(['sign', 'spec.json', 'out.json', '--throwaway', '--id', 'job-7']);
    expect(code).toBe(0);
    expect(err).toContain('set: id, created_at, metadata.timestamp, metadata.nonce');
    const text = await readFile(at('out.json'), 'utf8');
    expect(text).toMatch(
      /^\{\n {2}"zeta": 1,\n {2}"10": "ten",\n {2}"2": "two",\n {2}"alpha": \{\n {4}"b": null,/,
    );
    const signed = JSON.parse(text) as Record<string, unknown>;
    expect(signed).toMatchObject({
      zeta: 1,
      id: 'job-7',
      alpha: { b: null, a: [1, 2.5] },
      metadata: { tags: [] },
    });
  });

  test('what is said of a signature is one plain line, whatever the id holds', async () => {
    await writeFile(at('spec.json'), JSON.stringify({ ...SPEC, id: 'a\u202eb\u001b[31m' }));
    const { err } = await beacon(['sign', 'spec.json', 'out.json', '--throwaway']);
    expect(err).toContain('signed a\\u202eb\\x1b[31m by ');
    await writeFile(at('spec.json'), JSON.stringify({ ...SPEC, id: undefined }));
    expect((await beacon(['sign', 'spec.json', 'out.json', '--throwaway'])).err).toMatch(/^signed by \S+=/m);
    const dash = await beacon(['sign', 'spec.json', '-', '--throwaway']);
    expect([dash.code, dash.err]).toEqual([2, expect.stringContaining('goes to standard output')]);
  });

  test('a signed file passes the dry run; a changed one does not, and an unsigned one names the way', async () => {
    await writeFile(at('spec.json'), JSON.stringify(SPEC));
    await beacon(['sign', 'spec.json', 'signed.json', '--throwaway', '--id', 'job-8']);
    const good = await beacon(['submit', 'signed.json', '--dry-run', '--json']);
    expect(good.code).toBe(0);
    expect(JSON.parse(good.out)).toMatchObject({ ok: true, id: 'job-8', executions: 4 });

    const text = await readFile(at('signed.json'), 'utf8');
    const changed = await beacon(['submit', '-', '--dry-run'], { stdin: text.replace('"two?"', '"too?"') });
    expect(changed.code).toBe(1);
    expect(changed.err).toContain('signature_mismatch');

    const unsigned = await beacon(['submit', 'spec.json']);
    expect(unsigned.code).toBe(2);
    expect(unsigned.err).toContain('beacon sign spec.json');
  });

  test('what was set before stays unless --fresh', async () => {
    const spec = {
      ...SPEC,
      metadata: { nonce: 'mine', timestamp: '2026-01-01T00:00:00Z' },
      created_at: '2026-01-01T00:00:00Z',
    };
    await writeFile(at('spec.json'), JSON.stringify(spec));
    const kept = await beacon(['sign', 'spec.json', '--throwaway', '--json']);
    expect(JSON.parse(kept.out)).toMatchObject({ set: [], spec: { metadata: { nonce: 'mine' } } });
    const fresh = await beacon(['sign', 'spec.json', '--throwaway', '--fresh', '--json']);
    expect(JSON.parse(fresh.out)).toMatchObject({
      set: ['created_at', 'metadata.timestamp', 'metadata.nonce'],
    });
    expect(fresh.out).not.toContain('"mine"');
  });

  test('Ctrl-C ends the waiting for a standard input that says nothing', async () => {
    const io = recordedIo({ cwd: folder, env: {}, stdin: silent() });
    async function* silent(): AsyncGenerator<Uint8Array> {
      setImmediate(() => io.interrupt());
      yield await new Promise<never>(() => undefined);
    }
    expect(await main(['sign', '-', '--throwaway'], io)).toBe(130);
    expect(io.err()).toBe('');
  });

  test('files that are no spec are refused by their reason', async () => {
    await writeFile(at('twice.json'), '{"a": 1, "a": 2}');
    const twice = await beacon(['sign', 'twice.json', '--throwaway']);
    expect(twice.code).toBe(2);
    expect(twice.err).toMatch(/^beacon: twice\.json: .*\n$/);
    expect((await beacon(['sign', 'none.json', '--throwaway'])).err).toContain('no such file');
    await writeFile(at('spec.json'), JSON.stringify(SPEC));
    const intoFolder = await beacon(['sign', 'spec.json', folder, '--throwaway']);
    expect([intoFolder.code, intoFolder.err]).toEqual([2, expect.stringContaining(': it is a folder\n')]);
    expect((await beacon(['sign', 'twice.json'])).code).toBe(2);
  });
});

test.each([
  [['verify'], "missing required argument 'what' → see `beacon verify --help`"],
  [['log', 'close', '--nonsense'], "unknown option '--nonsense' → see `beacon log close --help`"],
  [
    ['monitor', '--every', '0'],
    "argument '0' is invalid: seconds from 1 to 86400 → see `beacon monitor --help`",
  ],
  [['nonsense'], "unknown command 'nonsense' → see `beacon --help`"],
])('%j is wrong usage, and the help that shows the right one is named', async (argv, said) => {
  const { code, err } = await beacon(argv);
  expect([code, err]).toEqual([2, expect.stringContaining(said)]);
});

describe('speaking to a service', () => {
  test('no service: code 3, where, why, what next', async () => {
    const { code, err } = await beacon(['job', 'list', '--api', 'http://127.0.0.1:1']);
    expect(code).toBe(3);
    expect(err).toMatch(
      /^beacon: cannot reach the API at http:\/\/127\.0\.0\.1:1: .* → start one with `beacon up`.*\n$/,
    );
  });

  test('--json makes errors JSON too', async () => {
    const { code, out, err } = await beacon(['job', 'list', '--json', '--api', 'http://127.0.0.1:1']);
    expect([code, out]).toEqual([3, '']);
    expect(JSON.parse(err)).toMatchObject({ error_code: 'unreachable' });
  });

  test('an address that is none, or holds a password, is a mistake', async () => {
    for (const api of ['localhost:8090', 'nonsense', 'http://u:secret@localhost']) {
      const { code, err } = await beacon(['job', 'list', '--api', api]);
      expect([api, code]).toEqual([api, 2]);
      expect(err).not.toContain('secret');
    }
  });

  describe('that answers', () => {
    let server: Server;
    let api: string;
    let answer: { status: number; body: string; headers?: Record<string, string> };
    beforeEach(async () => {
      server = createServer((_request, response) => {
        response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
        response.end(answer.body);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    test.each([
      [404, { error: 'job not found', error_code: 'job_not_found' }, 4, 'job not found (job_not_found)'],
      [400, { error: 'no', error_code: 'validation_error' }, 4, 'refused: no (validation_error)'],
      [429, { error: 'rate limit exceeded', error_code: 'rate_limit_exceeded' }, 4, 'try again in 7 s'],
      [500, { error: 'internal error', code: 'internal_error', request_id: 'r-1' }, 5, 'request r-1'],
      [200, { nothing: 'of use' }, 5, 'unexpected'],
    ])('%i %j ends with code %i', async (status, body, expected, text) => {
      answer = { status, body: JSON.stringify(body), headers: { 'retry-after': '7' } };
      const { code, err } = await beacon(['job', 'get', 'x', '--api', api]);
      expect(code).toBe(expected);
      expect(err).toContain(text);
      expect(err.trimEnd()).not.toContain('\n');
    });

    test.each(['', '<html>Not Found</html>', '{"message": 7}'])(
      'something that is no Beacon and says %j is taken for none',
      async (body) => {
        answer = { status: 404, body };
        const { code, err } = await beacon(['job', 'list', '--api', api]);
        expect(code).toBe(4);
        expect(err).toContain(
          'GET /api/v1/jobs?limit=20 was answered with status 404 and no reason → is this',
        );
      },
    );

    test('names from the service are printed as text, never obeyed', async () => {
      const name = 'evil\u001b[2J\u202egnp.exe\nfake line';
      answer = {
        status: 200,
        body: JSON.stringify({ jobs: [{ id: 'j', status: 'running', created_at: null, name }] }),
      };
      const plain = await beacon(['job', 'list', '--api', api]);
      expect(plain.out.split('\n')).toHaveLength(3);
      expect(plain.out).toContain('evil\\x1b[2J\\u202egnp.exe\\x0afake line');
      const json = await beacon(['job', 'list', '--json', '--api', api]);
      expect(JSON.parse(json.out)).toMatchObject({ jobs: [{ name }] });
      expect(json.out).not.toContain('\u202e');
    });

    test('an error text from the service stays on one line', async () => {
      answer = { status: 400, body: JSON.stringify({ error: 'a\nbeacon: all is well\u001b[A' }) };
      const { err } = await beacon(['job', 'get', 'x', '--api', api]);
      expect(err).toMatch(/^[^\n]*a\\x0abeacon: all is well\\x1b\[A[^\n]*\n$/);
    });
  });

  test('the state folder tells the address of its stack; option and environment win', async () => {
    await writeFile(at('stack.json'), JSON.stringify({ api: { url: 'http://127.0.0.1:3/api/v1/' } }));
    const config = async (argv: string[], env: Record<string, string>) =>
      JSON.parse((await beacon(['config', '--json', '--state', '.', ...argv], { env })).out) as object;
    expect(await config([], {})).toMatchObject({
      client: { api: 'http://127.0.0.1:3', api_source: 'stack' },
    });
    expect(await config([], { BEACON_API: 'http://b:1' })).toMatchObject({ client: { api: 'http://b:1' } });
    expect(await config(['--api', 'http://a:1'], { BEACON_API: 'http://b:1' })).toMatchObject({
      client: { api: 'http://a:1', api_source: 'option' },
    });
  });
});

describe('a state folder that is named', () => {
  const ask = (argv: string[], env: Record<string, string> = {}) =>
    beacon(['job', 'list', ...argv], { env: { HOME: folder, ...env } });

  test('and holds no stack leads to no other: code 3', async () => {
    for (const [argv, env] of [
      [['--state', 'none'], {}],
      [[], { BEACON_STATE: 'none' }],
    ] as const) {
      const { code, err } = await ask([...argv], env);
      expect([code, err]).toEqual([3, expect.stringContaining(`no stack runs in ${at('none')}`)]);
    }
    const { code, out } = await beacon(['config', '--state', 'none', '--json']);
    expect([code, JSON.parse(out)]).toMatchObject([0, { client: { api: null } }]);
  });

  test('and whose stack has no API yet leads to no other: code 3', async () => {
    await writeFile(at('stack.json'), JSON.stringify({ phase: 'starting' }));
    expect(await ask(['--state', '.'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('no API at the moment'),
    });
  });

  test.each(['{"api": {"url"', '', '{"api": 7}', '[]'])('with %j as stack.json is damaged', async (text) => {
    await writeFile(at('stack.json'), text);
    const { code, err } = await ask(['--state', '.']);
    expect([code, err]).toEqual([2, expect.stringContaining(`${at('stack.json')} is damaged`)]);
    expect((await ask(['--state', '.', '--api', 'http://127.0.0.1:1'])).err).toContain('127.0.0.1:1');
  });

  test('and cannot be read is told, the default one too', async () => {
    await writeFile(at('file'), '');
    const { code, err } = await ask(['--state', 'file']);
    expect([code, err]).toEqual([2, expect.stringContaining('cannot read')]);
    await mkdir(at('.beacon/stack.json'), { recursive: true });
    expect((await ask([])).err).toContain('stack.json is no regular file');
  });

  test('by nothing is a mistake; an empty variable is unset', async () => {
    expect((await ask(['--state', ''])).code).toBe(2);
    await writeFile(at('stack.json'), '{');
    const { out } = await beacon(['config', '--json'], { env: { HOME: folder, BEACON_STATE: '' } });
    expect(JSON.parse(out)).toMatchObject({
      client: { state: at('.beacon'), api: 'http://127.0.0.1:8090', api_source: 'default' },
    });
  });
});

describe('config', () => {
  test('secrets are masked and every value says where it comes from', async () => {
    const env = { DATABASE_URL: 'postgres://u:hunter2@db/x', MAX_PARALLEL: '3' };
    const { code, out } = await beacon(['config', '--json'], { env });
    expect(code).toBe(0);
    expect(out).not.toContain('hunter2');
    const { settings } = JSON.parse(out) as { settings: { name: string; value: string; source: string }[] };
    expect(settings).toContainEqual(
      expect.objectContaining({ name: 'MAX_PARALLEL', value: '3', source: 'environment' }),
    );
    expect(settings).toContainEqual(expect.objectContaining({ name: 'BACKLOG_LIMIT', source: 'default' }));
  });

  test('a wrong setting is a mistake of usage that names it', async () => {
    const { code, err } = await beacon(['config'], { env: { MAX_PARALLEL: 'many' } });
    expect(code).toBe(2);
    expect(err).toContain('MAX_PARALLEL');
  });
});
