import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { createRequestor, refusal, sh, type Requestor } from './raw-requestor.ts';
import { requestorService } from './requestor-file.ts';
import { startYagna, type Yagna } from './yagna.ts';

let yagna: Yagna;
let me: Requestor;
beforeAll(async () => {
  yagna = await startYagna({
    images: [{ tag: 'beacon/worker:latest' }, { tag: 'bare', without: ['timeout', 'tar'] }],
    providers: [
      { name: 'well' },
      { name: 'no-activity', faults: [{ at: 'create-activity', do: 'error', times: 1 }] },
      { name: 'no-activity-in-time', faults: [{ at: 'create-activity', do: 'timeout', times: 1 }] },
      { name: 'idle', speed: { noActivityMs: 50 } },
      { name: 'no-deploy', faults: [{ at: 'deploy', do: 'error' }] },
      { name: 'hangs', faults: [{ at: 'run', do: 'hang' }] },
      { name: 'fails', faults: [{ at: 'run', do: 'fail', exit: 7, times: 1 }] },
      { name: 'dies', faults: [{ at: 'run', do: 'die', afterMs: 50 }] },
      { name: 'shuts-down', faults: [{ at: 'run', do: 'terminate', reason: 'Shutdown', afterMs: 50 }] },
      { name: 'stumbles', faults: [{ at: 'results', do: 'error', times: 2 }] },
      { name: 'mute', faults: [{ at: 'results', do: 'never' }] },
      { name: 'stateless', faults: [{ at: 'state', do: 'timeout', times: 1 }] },
      {
        name: 'lies',
        faults: [
          { at: 'stdout', do: 'tamper', with: (text) => text.replace('6', '7') },
          { at: 'download', do: 'tamper', with: () => Buffer.from('forged'), times: 1 },
          { at: 'download', do: 'bad-hash', times: 1 },
        ],
      },
      { name: 'abroad', region: 'US', egress: '127.0.7.7' },
    ],
  });
  me = createRequestor(yagna);
});
afterAll(() => yagna.stop());

describe.concurrent('an activity', () => {
  it('goes from initialized to ready and runs commands in a box of its own', async () => {
    const { agreement, activityId, deployed } = await me.ready('well');
    expect(deployed.map(({ result, index }) => [index, result])).toEqual([
      [0, 'Ok'],
      [1, 'Ok'],
    ]);
    expect(await me.state.getActivityState(activityId)).toMatchObject({ state: ['Ready', null] });
    const results = await me.perform(activityId, [
      sh('id -u; pwd; ls /root /home /tmp 2>/dev/null; echo $$ >&2'),
      sh('exit 3'),
      sh('echo never'),
    ]);
    expect(results).toMatchObject([
      { stdout: '0\n/\n/tmp:\n', result: 'Ok', isBatchFinished: false },
      { result: 'Error', message: 'ExeScript command exited with code 3', isBatchFinished: true },
    ]);
    const { currentUsage } = await me.state.getActivityUsage(activityId);
    expect(currentUsage?.every((seconds) => seconds > 0)).toBe(true);
    await me.control.destroyActivity(activityId);
    expect(await me.state.getActivityState(activityId)).toMatchObject({ state: ['Terminated', null] });
    await me.terminate(agreement);
  });

  it('has only the programs of its image, and no image but that with the right hash', async () => {
    const bare = yagna.images[1]!;
    const of = (sha3: string) => ({ 'golem.srv.comp.task_package': `hash:sha3:${sha3}:${bare.url}` });
    const { activityId } = await me.ready('well', of(bare.sha3));
    const [found] = await me.perform(activityId, [sh('command -v sh timeout tar; true')]);
    expect(found?.stdout?.trim().split('\n')).toEqual([expect.stringContaining('/sh')]);
    const { deployed } = await me.ready('well', of(bare.sha3.replace(/^./, 'x')));
    expect(deployed).toMatchObject([{ result: 'Error' }]);
  });

  it('streams what its commands say', async () => {
    const { activityId } = await me.ready('well');
    const batch = await me.exec(activityId, [sh('echo one; echo two >&2; exit 4')]);
    const left = new AbortController();
    const answer = await fetch(`${yagna.url}/activity-api/v1/activity/${activityId}/exec/${batch}`, {
      headers: { authorization: `Bearer ${yagna.key}`, accept: 'text/event-stream' },
      signal: left.signal,
    });
    let text = '';
    for await (const chunk of answer.body!) {
      text += Buffer.from(chunk).toString();
      if (text.includes('finished')) break;
    }
    left.abort();
    expect(text).toMatch(/^event: runtime\ndata: \{.*"started"/);
    for (const said of ['"stdout":"one\\n"', '"stderr":"two\\n"', '"return_code":4'])
      expect(text).toContain(said);
  });

  it('moves files over the service bus, to and from volumes only', async () => {
    const { activityId } = await me.ready('well');
    const sent = Buffer.from('0123456789'.repeat(10_000));
    const [upload, download] = [await requestorService(yagna, sent), await requestorService(yagna, null)];
    const to = 'container:/golem/work/a/in.bin';
    const results = await me.perform(activityId, [
      { transfer: { from: upload.url, to } },
      sh('cat /golem/work/a/in.bin /golem/work/a/in.bin > /golem/work/out.bin'),
      { transfer: { from: 'container:/golem/work/out.bin', to: download.url } },
    ]);
    expect(results.map(({ result }) => result)).toEqual(['Ok', 'Ok', 'Ok']);
    expect(download.received().equals(Buffer.concat([sent, sent]))).toBe(true);
    expect(download.hashHolds()).toBe(true);
    expect(yagna.books().boundServices).not.toEqual([]);
    const [refused] = await me.perform(activityId, [
      { transfer: { from: upload.url, to: 'container:/etc/x' } },
    ]);
    expect(refused).toMatchObject({ result: 'Error', message: expect.stringContaining('volume') as string });
    await Promise.all([upload.release(), download.release()]);
  });

  it('has no network unless the manifest asks and the provider has a way out, which is its own address', async () => {
    const seen: (string | undefined)[] = [];
    const echo = createServer((request, response) => {
      seen.push(request.socket.remoteAddress);
      response.end(`hello ${request.url}`);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}/echo`;
    const manifest = { compManifest: { net: { inet: { out: { urls: [url] } } } } };
    const payload = Buffer.from(JSON.stringify(manifest)).toString('base64');
    const asking = { 'golem.srv.comp.payload': payload };
    const { activityId } = await me.ready('abroad', asking);
    const [got] = await me.perform(activityId, [sh(`curl -fsS ${url}/nonce || wget -qO- ${url}/nonce`)]);
    expect([got?.stdout, seen]).toEqual(['hello /echo/nonce', ['127.0.7.7']]);
    const [elsewhere] = await me.perform(activityId, [sh(`curl -fsS ${url.replace('/echo', '/other')}`)]);
    expect(elsewhere).toMatchObject({ result: 'Error' });
    const { activityId: unasked } = await me.ready('abroad');
    expect(await me.perform(unasked, [sh(`curl -fsS ${url}`)])).toMatchObject([{ result: 'Error' }]);
    expect((await me.negotiate('well', asking)).answer).toMatchObject({ eventType: 'ProposalRejectedEvent' });
    echo.close();
  });
});

describe.concurrent('a provider that', () => {
  it.each([
    ['no-activity', 500],
    ['no-activity-in-time', 408],
  ])('has %s at first answers %i', async (name, status) => {
    const agreement = await me.agree(name);
    expect(await refusal(me.activityOf(agreement))).toMatchObject({ status });
    expect(await me.activityOf(agreement)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('waits for an activity in vain ends the agreement', async () => {
    const agreement = await me.propose('idle');
    await eventually(
      async () => (await me.market.getAgreement(agreement)).state === 'Terminated' || undefined,
    );
    const events = await me.market.collectAgreementEvents(0, me.started, 100, me.session);
    expect(events.filter((event) => event.agreementId === agreement).at(-1)).toMatchObject({
      eventType: 'AgreementTerminatedEvent',
      terminator: 'Provider',
      reason: { 'golem.provider.code': 'NoActivity' },
    });
  });

  it('cannot deploy says so and stays initialized', async () => {
    const { activityId, deployed } = await me.ready('no-deploy');
    expect(deployed).toMatchObject([
      { result: 'Error', message: 'Transfer error: HTTP error', isBatchFinished: true },
    ]);
    expect(await me.state.getActivityState(activityId)).toMatchObject({ state: ['Initialized', null] });
  });

  it('hangs, or is mute, gives no results however long one asks', async () => {
    const waited = async (name: string) => {
      const { activityId } = await ready(name);
      const batch = await me.exec(activityId, [sh('true')]);
      return me.results(activityId, batch, 0.2);
    };
    expect(await waited('hangs')).toEqual([]);
    expect(await waited('mute')).toEqual([]);
  });

  it('fails once with the code it likes', async () => {
    const { activityId } = await me.ready('fails');
    const message = 'ExeScript command exited with code 7';
    expect(await me.perform(activityId, [sh('true')])).toMatchObject([{ result: 'Error', message }]);
    expect(await me.perform(activityId, [sh('true')])).toMatchObject([{ result: 'Ok' }]);
  });

  it('dies in the middle answers only with GSB errors; its agreement can still be ended, without an invoice', async () => {
    const { agreement, activityId } = await me.ready('dies');
    const batch = await me.exec(activityId, [sh('sleep 30')]);
    const gone = { status: 500, message: expect.stringContaining('endpoint address not found') as string };
    expect(await refusal(me.results(activityId, batch))).toMatchObject(gone);
    expect(await refusal(me.state.getActivityState(activityId))).toMatchObject(gone);
    expect(await refusal(me.control.destroyActivity(activityId))).toMatchObject(gone);
    await me.terminate(agreement);
    expect(yagna.books().openActivities).not.toContain(activityId);
  });

  it('shuts down in the middle ends the agreement and what runs', async () => {
    const { agreement, activityId } = await me.ready('shuts-down');
    const batch = await me.exec(activityId, [sh('sleep 30')]);
    expect(await refusal(me.results(activityId, batch))).toMatchObject({ status: 500 });
    expect(await me.market.getAgreement(agreement)).toMatchObject({ state: 'Terminated' });
    expect(await me.invoiceOf(agreement)).toMatchObject({ status: 'RECEIVED' });
    expect(await refusal(me.terminate(agreement))).toMatchObject({ status: 410 });
  });

  it('stumbles over results or its state is well the next time', async () => {
    const { activityId } = await ready('stumbles');
    const batch = await me.exec(activityId, [sh('true')]);
    const results = await eventually(() => me.results(activityId, batch).catch(() => undefined));
    expect(results).toHaveLength(1);
    const other = await me.ready('stateless');
    expect(await refusal(me.state.getActivityState(other.activityId))).toMatchObject({ status: 408 });
    expect(await me.state.getActivityState(other.activityId)).toMatchObject({ state: ['Ready', null] });
  });

  it('lies about outputs sends other bytes, or a hash that does not hold', async () => {
    const { activityId } = await me.ready('lies');
    expect(await me.perform(activityId, [sh('echo 6; echo true > /golem/work/o')])).toMatchObject([
      { stdout: '7\n' },
    ]);
    const take = async () => {
      const file = await requestorService(yagna, null);
      await me.perform(activityId, [{ transfer: { from: 'container:/golem/work/o', to: file.url } }]);
      await file.release();
      return [file.received().toString(), file.hashHolds()];
    };
    expect(await take()).toEqual(['forged', true]);
    expect(await take()).toEqual(['true\n', false]);
  });
});

/** For providers whose results cannot be waited for. */
async function ready(name: string) {
  const activityId = await me.activityOf(await me.agree(name));
  await me.exec(activityId, [{ deploy: {} }, { start: {} }]);
  await eventually(async () => {
    const { state } = await me.state.getActivityState(activityId);
    return state[0] === 'Ready' || undefined;
  });
  return { activityId };
}
