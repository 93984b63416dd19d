/**
 * Line coverage by V8, as vitest's own provider measures it, plus the workflows. Those run as a bundle in a `vm` context
 * that vitest's provider does not see. A replay (test/workflows/replay.test.ts) runs them in the test's own thread, so
 * the inspector counts them there; the bundle's source map leads back to workflows/. Live workers run workflows in
 * threads of their own, which are not counted: what no recorded history reaches counts as not covered.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import inspector from 'node:inspector/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import convert from 'ast-v8-to-istanbul';
import v8 from '@vitest/coverage-v8';
import type { CoverageProviderModule } from 'vitest/node';

const ROOT = path.dirname(import.meta.dirname);
const WORKFLOWS = path.join(ROOT, 'workflows') + path.sep;
/** From the tests' processes to the one that reports. */
const SEEN = path.join(ROOT, 'coverage', '.workflows');

interface SeenScript {
  code: string;
  url: string;
  functions: inspector.Profiler.FunctionCoverage[];
}

/** Vitest loads this module anew between start and end of a test file; the session that counts must last. */
const kept = globalThis as { coverageSession?: inspector.Session };
const session = (kept.coverageSession ??= new inspector.Session());

const isOurs = (url: string): boolean => url.startsWith('file://') && !url.includes('/node_modules/');
const isBundle = (url: string): boolean => /^file:.*\/workflow-bundle-\w+\.js$/.test(url);

/** Sources of the scripts by their URL, which holds a hash of the source; a script that V8 has let go has none. */
async function scriptSources(
  scripts: readonly inspector.Profiler.ScriptCoverage[],
): Promise<Map<string, string>> {
  await session.post('Debugger.enable');
  const sources = new Map<string, string>();
  for (const { scriptId, url } of scripts) {
    const source = await session.post('Debugger.getScriptSource', { scriptId }).catch(() => undefined);
    if (source !== undefined) sources.set(url, source.scriptSource);
  }
  await session.post('Debugger.disable');
  return sources;
}

async function keepBundles(scripts: readonly inspector.Profiler.ScriptCoverage[]): Promise<void> {
  const sources = await scriptSources(scripts);
  await mkdir(SEEN, { recursive: true });
  for (const { url, functions } of scripts) {
    const code = sources.get(url);
    if (code === undefined) continue;
    const seen: SeenScript = { code, url, functions };
    await writeFile(path.join(SEEN, `${randomUUID()}.json`), JSON.stringify(seen));
  }
}

/** Istanbul's data of workflows/, from what the tests' processes left. */
async function workflowCoverage(): Promise<Awaited<ReturnType<typeof convert>>[]> {
  const { parseAstAsync } = await import('vitest/node');
  const files = await readdir(SEEN).catch(() => []);
  return Promise.all(
    files.map(async (file) => {
      const { code, url, functions } = JSON.parse(
        await readFile(path.join(SEEN, file), 'utf8'),
      ) as SeenScript;
      const all = await convert({
        code,
        ast: parseAstAsync(code),
        coverage: { url, functions },
      });
      return Object.fromEntries(
        Object.entries(all).filter(([name]) => name.startsWith(WORKFLOWS) && name.endsWith('.ts')),
      );
    }),
  );
}

const provider: CoverageProviderModule = {
  async getProvider() {
    const own = await v8.getProvider();
    const generate = own.generateCoverage.bind(own);
    const options = own.resolveOptions.bind(own);
    return Object.assign(own, {
      // The tests' processes load what is named here; the v8 provider would name itself.
      resolveOptions: () => ({ ...options(), provider: 'custom' as const }),
      async generateCoverage(context: Parameters<typeof generate>[0]) {
        const map = (await generate(context)) as {
          merge(data: object): void;
          filter(keep: (file: string) => boolean): void;
        };
        const replayed = await workflowCoverage();
        const names = new Set(replayed.flatMap((data) => Object.keys(data)));
        map.filter((file) => !names.has(file));
        for (const data of replayed) map.merge(data);
        return map;
      },
    });
  },
  async startCoverage() {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  },
  async takeCoverage(options) {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const bundles = result.filter(
      ({ url, functions }) => isBundle(url) && functions.some(({ ranges }) => ranges[0]!.count > 0),
    );
    if (bundles.length > 0) await keepBundles(bundles);
    return {
      result: result
        .filter(({ url }) => isOurs(url))
        .map((script) => ({
          ...script,
          startOffset: options?.moduleExecutionInfo?.get(fileURLToPath(script.url))?.startOffset ?? 0,
        })),
    };
  },
  async stopCoverage() {
    await session.post('Profiler.stopPreciseCoverage');
    await session.post('Profiler.disable');
    session.disconnect();
  },
};

export default provider;
