import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { connectSdk, orderFrom } from './requestor.ts';
import { startYagna } from './yagna.ts';

it('serves one whole job of the unmodified SDK: scan, negotiation, commands, files, invoice, release', async () => {
  await using yagna = await startYagna({
    providers: [{ name: 'paris', region: 'EU', prices: { start: '0.1', cpuSec: '0', envSec: '0' } }],
  });
  const golem = await connectSdk(yagna);
  const rental = await golem.oneOf({ order: orderFrom(yagna), signalOrTimeout: 10_000 });
  const unit = await rental.getExeUnit();
  expect((await unit.run('echo $((6*7)); echo oh >&2')).stdout).toBe('42\n');
  const failed = await unit.run('echo said; exit 3');
  expect(failed).toMatchObject({
    result: 'Error',
    message: 'ExeScript command exited with code 3',
    stdout: 'said\n',
  });
  const text = 'é'.repeat(60_000);
  await unit.uploadData(new TextEncoder().encode(text), '/golem/work/in.txt');
  await unit.run('cat /golem/work/in.txt /golem/work/in.txt > /golem/work/out.txt');
  const back = await unit.downloadData('/golem/work/out.txt');
  expect(new TextDecoder().decode(back.data)).toBe(text + text);
  expect(yagna.books().problems).not.toEqual([]);
  await rental.stopAndFinalize(5_000);
  await golem.disconnect();
  await eventually(() => yagna.books().problems.length === 0 || undefined);
  expect(yagna.books()).toMatchObject({
    accepted: '0.1',
    spent: '0.1',
    agreements: [{ providerId: yagna.providers[0]!.id, state: 'Terminated', billed: '0.1', honest: '0.1' }],
  });
});
