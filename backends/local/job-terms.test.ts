import { expect, test } from 'vitest';
import { newWork } from '../../test/backends/stand.ts';
import type { Work } from '../backend.ts';
import { checkedName, jobTerms } from './job-terms.ts';
import { parseCpus, parseMemory } from './quantity.ts';
import { defaultEngineSockets, localSettings } from './settings.ts';

const settings = localSettings({ stateFolder: '/nowhere', maxMemoryBytes: 2 ** 30, maxCpus: 2 });
const terms = (work: Partial<Work>) => jobTerms(newWork({ image: 'builtin:echo', ...work }), settings);

test.each([
  ['1000m', 1],
  ['250m', 0.25],
  ['2', 2],
  ['0.5', 0.5],
  ['', null],
  ['-1', null],
  ['1e3', null],
  ['two', null],
])('cpu %j is %j cores', (text, cores) => expect(parseCpus(text)).toBe(cores));

test.each([
  ['512Mi', 512 * 2 ** 20],
  ['1Gi', 2 ** 30],
  ['512M', 512e6],
  ['1.5GB', 1.5e9],
  ['64k', 64_000],
  ['1048576', 2 ** 20],
  ['100b', 100],
  ['12 Mi', 12 * 2 ** 20],
  ['Mi', null],
  ['1Xi', null],
  ['-5M', null],
])('memory %j is %j bytes', (text, bytes) => expect(parseMemory(text)).toBe(bytes));

test('what a job asks for is applied as written and capped by what the operator allows', () => {
  expect(terms({ resources: { cpu: '500m', memory: '256Mi' } })).toMatchObject({
    cpus: 0.5,
    memoryBytes: 2 ** 28,
  });
  expect(terms({ resources: { cpu: '64', memory: '1Ti' } })).toMatchObject({ cpus: 2, memoryBytes: 2 ** 30 });
  expect(terms({ resources: { cpu: '0', memory: '1' } })).toMatchObject({
    cpus: 0.01,
    memoryBytes: 16 * 2 ** 20,
  });
  expect(terms({})).toMatchObject({ cpus: 1, memoryBytes: 512 * 2 ** 20 });
});

test.each<Partial<Work>>([
  { environment: { 'A B': 'x' } },
  { environment: { '': 'x' } },
  { environment: { 'A=B': 'x' } },
  { environment: { BEACON_INPUT: '/etc/passwd' } },
  { environment: { A: 'x\0y' } },
  { environment: { A: 'x'.repeat(65 * 1024) } },
  { command: ['a\0b'] },
  { command: ['x'.repeat(65 * 1024)] },
  { resources: { cpu: 'many' } },
])('terms that cannot be applied are the job’s fault: %j', (work) => {
  expect(() => terms(work)).toThrow(
    expect.objectContaining({ failure: expect.objectContaining({ code: 'work_invalid' }) }),
  );
});

test('a work name is a plain file name', () => {
  expect(checkedName('0191-abc-1')).toBe('0191-abc-1');
  for (const bad of ['', '..', '.hidden', 'a/b', 'a b', 'x'.repeat(300)])
    expect(() => checkedName(bad)).toThrow();
});

test('engine sockets are the named ones first, unix only, each once', () => {
  expect(
    defaultEngineSockets({
      BEACON_DOCKER_SOCKET: '/mine.sock',
      DOCKER_HOST: 'unix:///var/run/docker.sock',
      XDG_RUNTIME_DIR: '/run/user/7',
    }),
  ).toEqual([
    '/mine.sock',
    '/var/run/docker.sock',
    '/run/podman/podman.sock',
    '/run/user/7/docker.sock',
    '/run/user/7/podman/podman.sock',
  ]);
  expect(defaultEngineSockets({ DOCKER_HOST: 'tcp://elsewhere:2375' })[0]).toBe('/var/run/docker.sock');
  expect(defaultEngineSockets({ BEACON_DOCKER_SOCKET: 'unix:///mine.sock', DOCKER_HOST: null })[0]).toBe(
    '/mine.sock',
  );
});
