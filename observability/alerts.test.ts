import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const folder = path.join(import.meta.dirname, 'prometheus');
const missing = spawnSync('promtool', ['--version']).error !== undefined;

test('every alert has a case in which it fires', () => {
  const rules = readFileSync(path.join(folder, 'alerts.yaml'), 'utf8');
  const cases = readFileSync(path.join(folder, 'alerts.test.yaml'), 'utf8');
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  const fired = new Set([...cases.matchAll(/alertname: (\w+)\n +exp_alerts:\n/g)].map(([, name]) => name));
  expect(alerts.filter((name) => !fired.has(name))).toEqual([]);
});

describe.skipIf(missing)('promtool (skipped where it is missing; Debian: prometheus)', () => {
  test.each([
    ['takes the rules', ['check', 'rules', 'alerts.yaml']],
    ['finds that they fire when they must, and only then', ['test', 'rules', 'alerts.test.yaml']],
  ])('%s', (_what, args) => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
    expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  });
});
