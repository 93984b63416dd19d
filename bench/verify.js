// How long checking a bundle takes: the first time in a fresh Node and in a fresh Chromium page, modules loaded, and the
// whole of `beacon verify <file>`.
// npm run bench:verify   (20 s; Chromium from CHROMIUM or /usr/bin/chromium, left out where there is none)
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { median, percentile } from './support/measure.js';
import { atMost, runProgram } from './support/program.js';

const LIMIT_MS = 180_000;
const ROUNDS = 9;
/** Bars. */
const FIRST_BAR_MS = 50;
const COMMAND_BAR_MS = 400;

const checkout = fileURLToPath(new URL('..', import.meta.url));
const here = (...parts) => path.join(checkout, ...parts);
const loader = pathToFileURL(here('test/support/typescript-loader.js')).href;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

await runProgram({ name: 'bench_verify', limitMs: LIMIT_MS }, async ({ use, report, say }) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'beacon-bench-'));
  use({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) });
  const { execution, job, vkey } = JSON.parse(
    run(['--import', loader, here('bench/support/signed-bundles.js')]),
  );
  const files = { execution: path.join(folder, 'execution.json'), job: path.join(folder, 'job.json') };
  await writeFile(files.execution, JSON.stringify(execution));
  await writeFile(files.job, JSON.stringify(job));
  say(
    `Node ${process.versions.node}, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, median of ${ROUNDS}`,
  );

  // By turns, so that what else the machine does meets all alike.
  const first = { execution: [], job: [] };
  const command = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [kind, file] of Object.entries(files))
      first[kind].push(Number(run([here('bench/support/verify-once.js'), file, vkey])));
    const began = performance.now();
    run([here('bin/beacon.js'), 'verify', files.job, '--vkey', vkey]);
    command.push(performance.now() - began);
  }
  for (const [kind, times] of Object.entries(first))
    report(`verify_first_node_${kind}`, median(times), 'ms', atMost(median(times), FIRST_BAR_MS));
  report('verify_command', median(command), 'ms', atMost(median(command), COMMAND_BAR_MS));
  report('verify_command_max', percentile(command, 1), 'ms');

  if (!existsSync(CHROMIUM)) {
    say(`no Chromium at ${CHROMIUM}: not measured there`);
    return;
  }
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  use({ [Symbol.asyncDispose]: () => browser.close() });
  const server = createServer(serve);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  use({ [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(resolve)) });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${port}/`;
  const inBrowser = async (bundle, web) => {
    // A context of its own: nothing compiled before is reused.
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    const took = await page.evaluate(inPage, { text: JSON.stringify(bundle), vkey, web });
    await context.close();
    return took;
  };
  for (const [kind, bundle] of Object.entries({ execution, job })) {
    const [web, portable] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      web.push(await inBrowser(bundle, true));
      portable.push(await inBrowser(bundle, false));
    }
    report(`verify_first_chromium_${kind}`, median(web), 'ms', atMost(median(web), FIRST_BAR_MS));
    report(`verify_first_chromium_${kind}_portable`, median(portable), 'ms');
  }
  say(`Chromium ${browser.version()}: WebCrypto, and for comparison the portable cryptography in JavaScript`);
});

/** Runs in the page. */
async function inPage({ text, vkey, web }) {
  const [{ verifyBundleBytes }, { specVerifier }, { portableVerifiers }, { withWebCrypto }] =
    await Promise.all([
      import('/dist/domain/receipt/verify.js'),
      import('/dist/domain/receipt/spec-facts.js'),
      import('/dist/domain/crypto-portable.js'),
      import('/dist/domain/crypto-web.js'),
    ]);
  const bytes = new TextEncoder().encode(text);
  const began = performance.now();
  const check = (verifiers) =>
    verifyBundleBytes(bytes, { vkeys: [vkey] }, { verifiers, verifySpec: specVerifier(verifiers) });
  const verdict = web
    ? await withWebCrypto(check, crypto.subtle, portableVerifiers)
    : check(portableVerifiers);
  const took = performance.now() - began;
  if (!verdict.ok) throw new Error(`${verdict.link}: ${verdict.reason}`);
  return took;
}

/** The built modules and their two libraries, found by an import map as a bundler would. */
async function serve(request, response) {
  if (request.url === '/') {
    const imports = Object.fromEntries(
      ['curves', 'hashes'].map((name) => [`@noble/${name}/`, `/node_modules/@noble/${name}/`]),
    );
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`);
    return;
  }
  const isOurs = /^\/(dist\/domain|node_modules\/@noble)\/[\w./-]+\.js$/.test(request.url ?? '');
  const text = isOurs ? await readFile(here(request.url)).catch(() => undefined) : undefined;
  response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'text/javascript' });
  response.end(text);
}

function run(words) {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${words[0]} ended with ${status}: ${stderr}`);
  return stdout;
}
