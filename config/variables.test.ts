import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeSettings, readSettings, SettingsError } from './settings.ts';
import { VARIABLES, type Variable } from './variables.ts';

describe('settings', () => {
  it('have the defaults that the contract states', () => {
    expect(readSettings({})).toMatchObject({
      HTTP_PORT: { host: null, port: 8090 },
      PORT_STRATEGY: 'fallback',
      PORT_RANGE: [8090, 8099],
      TRUST_ENFORCE: false,
      TIMESTAMP_MAX_SKEW_MINUTES: 5,
      TIMESTAMP_MAX_AGE_MINUTES: 10,
      BACKENDS: { '*': ['local'] },
      JOB_DEADLINE: 86_400,
    });
  });

  it.each([
    [':9000', { host: null, port: 9000 }],
    ['9000', { host: null, port: 9000 }],
    ['0.0.0.0:9000', { host: '0.0.0.0', port: 9000 }],
  ])('take HTTP_PORT %s', (text, parsed) => {
    expect(readSettings({ HTTP_PORT: text }).HTTP_PORT).toEqual(parsed);
  });

  it('take a path for the engine’s socket, and nothing else', () => {
    expect(readSettings({}).BEACON_DOCKER_SOCKET).toBeNull();
    expect(readSettings({ BEACON_DOCKER_SOCKET: '/a.sock' }).BEACON_DOCKER_SOCKET).toBe('/a.sock');
    expect(() => readSettings({ BEACON_DOCKER_SOCKET: 'tcp://a:1' })).toThrow(/must be an absolute path/);
  });

  it('take an empty variable for an unset one', () => {
    expect(readSettings({ HTTP_PORT: '', BACKENDS: '' })).toEqual(readSettings({}));
  });

  it.each([' ', '0x10', '1e3', 'many', '1.5'])('take no %j for a number', (text) => {
    expect(() => readSettings({ BACKLOG_LIMIT: text })).toThrow(/BACKLOG_LIMIT/);
  });

  it('read ordered backends by region', () => {
    expect(readSettings({ BACKENDS: 'US=local; *=local' }).BACKENDS).toEqual({
      US: ['local'],
      '*': ['local'],
    });
    expect(() => readSettings({ BACKENDS: 'US=nowhere' })).toThrow(
      /"nowhere" is no backend; there are: local/,
    );
  });

  it('name every variable that is wrong, and what it holds', () => {
    const wrong = () => readSettings({ HTTP_PORT: 'http', MAX_PARALLEL: '0', BACKENDS: 'Mars=local' });
    expect(wrong).toThrow(SettingsError);
    expect(wrong).toThrow(/HTTP_PORT: "http"[\s\S]*BACKENDS: "Mars=local"[\s\S]*MAX_PARALLEL: "0"/);
  });

  it('never show a secret, right or wrong', () => {
    const secret = 'postgres://beacon:hunter2@db/beacon';
    const rows = describeSettings({ DATABASE_URL: secret });
    expect(JSON.stringify(rows)).not.toContain('hunter2');
    expect(rows.find((row) => row.name === 'DATABASE_URL')).toMatchObject({ source: 'environment' });
  });

  it('are shown as one would write them', () => {
    const env = { HTTP_PORT: '0.0.0.0:9000', PORT_RANGE: '9000-9009', BACKENDS: 'US=local;*=local' };
    const shown = Object.fromEntries(describeSettings(env).map(({ name, value }) => [name, value]));
    expect(shown).toMatchObject(env);
    const defaults = describeSettings({}).map(({ name, value }) => [name, value]);
    expect(readSettings(Object.fromEntries(defaults) as NodeJS.ProcessEnv)).toEqual(readSettings({}));
    expect(defaults).toContainEqual(['HTTP_PORT', ':8090']);
    expect(defaults).toContainEqual(['BACKENDS', '*=local']);
  });

  it.each([
    ['HTTP_PORT', ':65536', 'names a port above 65535'],
    ['PORT_RANGE', '8090-99999', 'names a port above 65535'],
    ['PORT_RANGE', '9000-8000', 'ends before it begins'],
    ['TRUST_ENFORCE', 'maybe', 'must be true or false'],
    ['MAX_PARALLEL', 'many', 'is not a whole number'],
    ['MAX_PARALLEL', '101', 'must be 100 or less'],
    ['LOG_LEVEL', 'loud', 'must be one of '],
    ['HTTP_PORT', 'abc', 'must be a port, :port or host:port. Port of the API'],
    ['PORT_RANGE', 'x', 'must be <first>-<last>. Ports tried'],
    ['JOB_DEADLINE', '99999999999', 'must be 315360000 or less'],
    ['TEMPORAL_ADDRESS', 'nohost', 'must be host:port'],
    ['GOLEM_NETWORK', 'moon', 'is no network; there are testnet, mainnet, polygon,'],
    ['GOLEM_IMAGES', '{', 'must be {"<image>": {"url", "sha3_224"}}: it is not JSON'],
    ['GOLEM_IMAGES', '7', 'must be {"<image>": {"url", "sha3_224"}}: Invalid input: expected record'],
  ])('refuse %s=%s and say why', (name, value, why) => {
    expect(() => readSettings({ [name]: value })).toThrow(`${name}: "${value}" ${why}`);
  });

  it.each([
    ['BACKENDS', 'foo', '"foo" is not <region or *>=<backend>'],
    ['BACKENDS', 'EU=local;EU=golem', '"EU" stands there twice'],
    ['CORS_ORIGINS', 'https://app.example,app.example', '"app.example" is no origin such as'],
    ['CORS_ORIGINS', 'https://app.example/page', '"https://app.example/page" is no origin'],
    ['ALLOWED_HOSTS', 'http://beacon.example', '"http://beacon.example" is no host name'],
    ['ALLOWED_HOSTS', 'beacon.example:8090', '"beacon.example:8090" is no host name'],
    ['TRUSTED_PROXIES', '10.0.0.1,proxy', '"proxy" is no address such as'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', '"10.0.0.0/33" is no address'],
    ['BEACON_LOG_KEY_PEM', 'log.pem', 'its value must be a private key in PEM. Ed25519 key'],
    ['DATABASE_URL', 'mysql://x', 'its value must begin with postgres://'],
    [
      'IPFS_PINNING_SERVICES',
      '[{}]',
      'its value must be [{"name", "endpoint", "token"}]: 0.name is not a text.',
    ],
  ])('refuse %s=%s and name the part that is wrong', (name, value, why) => {
    expect(() => readSettings({ [name]: value })).toThrow(`${name}: ${why}`);
  });

  it('take the names, origins and proxies that there are', () => {
    const env = {
      ALLOWED_HOSTS: '*,beacon.example,10.0.0.1,[::1]',
      CORS_ORIGINS: 'https://app.example,http://localhost:3000/,HTTPS://Upper.example',
      TRUSTED_PROXIES: 'loopback,10.0.0.1,10.0.0.0/8,10.0.0.0/255.0.0.0,fd00::/8,::1',
      TEMPORAL_ADDRESS: 'temporal.example:7233',
    };
    for (const [name, value] of Object.entries(env))
      expect([name, readSettings({ [name]: value })]).toEqual([name, expect.anything()]);
  });

  it('refuse to switch signatures off', () => {
    expect(() => readSettings({ RUNNER_SIG_BYPASS: 'true' })).toThrow(/signatures cannot be switched off/);
  });

  it('stand in docs/configuration.md', async () => {
    const rows = Object.entries<Variable<unknown>>(VARIABLES).map(
      ([name, { doc, secret }]) =>
        `| \`${name}\` | ${doc.replaceAll('|', '\\|')}${secret === true ? ' Secret.' : ''} |`,
    );
    const page = `# Configuration

Everything is set by environment variables; an empty one counts as unset. \`beacon config\` shows the effective values,
secrets masked. A wrong value stops the start and is named.

<!-- prettier-ignore-start -->
| variable | meaning |
| --- | --- |
${rows.join('\n')}
<!-- prettier-ignore-end -->

This page is written from \`config/variables.ts\` (\`npx vitest run config -u\`).
`;
    await expect(page).toMatchFileSnapshot(path.join(import.meta.dirname, '../docs/configuration.md'));
  });
});
