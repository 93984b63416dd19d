import { existsSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testApi, type TestApi } from '../../../test/support/api.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) =>
  existsSync(file),
);

let api: TestApi;
beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api[Symbol.asyncDispose]());

test('the way to the page is told at the root and where there is nothing', async () => {
  expect(await api.get('/')).toMatchObject({ status: 302, headers: { location: '/docs' } });
  const lost = await api.get('/nothing-here');
  expect(lost).toMatchObject({ status: 404, json: { error: expect.stringContaining('/docs') } });
  expect(lost.headers.link).toBe('</docs>; rel="service-doc", </openapi.json>; rel="service-desc"');
});

test('the page loads from its own host alone, and nothing inline', async () => {
  for (const url of ['/docs', '/docs/']) {
    const { status, headers, text } = await api.get(url);
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' });
    expect(text).not.toMatch(/https?:\/\/|<style|<script>|\son\w+=/);
    for (const [, file] of text.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g))
      expect([file, (await api.get(file!)).status]).toEqual([file, 200]);
  }
});

test('what it loads is sent compressed to whoever takes that, and keeps the strict policy', async () => {
  const plain = await api.get('/docs/swagger-ui-bundle.js');
  const zipped = await api.get('/docs/swagger-ui-bundle.js', { 'accept-encoding': 'br, gzip' });
  expect(plain.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  });
  expect(zipped.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(zipped.raw).equals(plain.raw)).toBe(true);
  expect(zipped.raw.length).toBeLessThan(plain.raw.length / 3);
});

test.each(['/docs/', '/docs/..%2fpackage.json', '/docs/__proto__', '/docs/index.html'])(
  'there is no other file: %s',
  async (url) => {
    const { status } = await api.get(url);
    expect(status).toBe(url === '/docs/' ? 200 : 404);
  },
);

/** Swagger UI has much to draw, and machines that run tests have other things to do. */
const BROWSER_TIMEOUT_MS = 180_000;

describe.skipIf(CHROMIUM === undefined)(
  'in a browser (skipped without Chromium)',
  { timeout: BROWSER_TIMEOUT_MS },
  () => {
    let browser: Browser;
    let base: string;
    beforeAll(async () => {
      base = await api.app.listen({ host: '127.0.0.1', port: 0 });
      browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
    });
    afterAll(() => browser.close());

    async function open(width: number): Promise<{ page: Page; faults: string[] }> {
      const page = await browser.newPage({ viewport: { width, height: 900 } });
      page.setDefaultTimeout(BROWSER_TIMEOUT_MS);
      const faults: string[] = [];
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) faults.push(message.text());
      });
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('request', (request) => {
        if (!request.url().startsWith(base) && !request.url().startsWith('data:')) faults.push(request.url());
      });
      await page.goto(`${base}/docs#/jobs/submitJob`);
      await page.locator('#operations-jobs-submitJob .responses-table').waitFor();
      return { page, faults };
    }

    test.each([1280, 390])(
      'it shows every operation at a width of %i, with no fault and no sideways scroll',
      async (width) => {
        const { page, faults } = await open(width);
        const shown = await page.locator('.opblock').count();
        const { paths } = (await api.get('/openapi.json')).json as { paths: Record<string, object> };
        expect(shown).toBe(Object.values(paths).flatMap((item) => Object.keys(item)).length);
        expect(await page.locator('body').innerText()).toContain('who-are-you-1');
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
        expect(faults).toEqual([]);
        await page.close();
      },
    );

    test('a request can be tried from it', async () => {
      const { page, faults } = await open(1280);
      const live = page.locator('#operations-service-getLiveness');
      await live.locator('.opblock-summary-control').click();
      await live.locator('.try-out__btn').click();
      await live.locator('.execute').click();
      await live.locator('.live-responses-table').waitFor();
      expect(await live.locator('.live-responses-table').innerText()).toContain('alive');
      expect(faults).toEqual([]);
      await page.close();
    });
  },
);
