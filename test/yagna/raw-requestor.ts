import { randomUUID } from 'node:crypto';
import { ActivityApi, MarketApi, PaymentApi } from 'ya-ts-client';
import { eventually } from '../support/eventually.ts';
import type { Yagna } from './yagna.ts';

/** The same steps as the SDK's by its REST clients, one by one and without its pauses. */
export type Requestor = ReturnType<typeof createRequestor>;

type Draft = MarketApi.ProposalDTO;
type Rejected = MarketApi.ProposalRejectedEventDTO;
export type MarketEvent =
  { eventType: 'ProposalEvent'; proposal: Draft } | ({ eventType: 'ProposalRejectedEvent' } & Rejected);

const HOUR_MS = 3_600_000;
const PLATFORM = 'erc20-hoodi-tglm';

export function createRequestor(yagna: Yagna, key = yagna.key) {
  const HEADERS = { Authorization: `Bearer ${key}` };
  const at = (path: string) => ({ BASE: `${yagna.url}${path}`, HEADERS });
  const market = new MarketApi.Client(at('/market-api/v1')).requestor;
  const payment = new PaymentApi.Client(at('/payment-api/v1')).requestor;
  const activity = new ActivityApi.Client(at('/activity-api/v1'));
  const session = randomUUID();
  const started = new Date().toISOString();

  const allocate = (totalAmount = '1', timeout = new Date(Date.now() + HOUR_MS).toISOString()) =>
    payment.createAllocation({
      totalAmount,
      paymentPlatform: PLATFORM,
      timeout,
      allocationId: '',
      spentAmount: '',
      remainingAmount: '',
      timestamp: '',
    });
  const subscribe = async (body: MarketApi.DemandOfferBaseDTO) =>
    (await market.subscribeDemand(body)) as string;
  const events = async (demand: string, timeout = 0.3) =>
    (await market.collectOffers(demand, timeout, 100)) as unknown as MarketEvent[];

  /** From a demand to a draft of the named provider, or its refusal. */
  async function negotiate(name: string, properties: Properties = {}) {
    const body = demandBody(yagna, { name, properties });
    const demand = await subscribe(body);
    const [offer] = await events(demand, 2);
    if (offer?.eventType !== 'ProposalEvent') throw new Error(`no offer of ${name}`);
    await market.counterProposalDemand(demand, offer.proposal.proposalId, body);
    const [answer] = await events(demand, 0.5);
    return { demand, answer };
  }

  /** As far as the confirmed agreement. */
  async function propose(name: string, properties: Properties = {}) {
    const { demand, answer } = await negotiate(name, properties);
    if (answer?.eventType !== 'ProposalEvent') throw new Error(`no draft of ${name}`);
    const validTo = new Date(Date.now() + HOUR_MS).toISOString();
    const { proposalId } = answer.proposal;
    const agreement = (await market.createAgreement({ proposalId, validTo })) as string;
    await market.confirmAgreement(agreement, session);
    await market.unsubscribeDemand(demand);
    return agreement;
  }

  async function agree(name: string, properties: Properties = {}) {
    const agreement = await propose(name, properties);
    await market.waitForApproval(agreement, 2);
    return agreement;
  }

  const activityOf = async (agreementId: string) =>
    ((await activity.requestorControl.createActivity({ agreementId })) as { activityId: string }).activityId;
  const exec = async (activityId: string, script: unknown[]) =>
    await activity.requestorControl.exec(activityId, { text: JSON.stringify(script) });
  const results = (activityId: string, batch: string, timeout = 5) =>
    activity.requestorControl.getExecBatchResults(activityId, batch, undefined, timeout);

  /** A whole batch with its results. */
  async function perform(activityId: string, script: unknown[]) {
    const batch = await exec(activityId, script);
    return eventually(async () => {
      const all = await results(activityId, batch);
      return all.at(-1)?.isBatchFinished === true ? all : undefined;
    }, 10_000);
  }

  /** An agreement with an activity that is deployed and started. */
  async function ready(name: string, properties: Properties = {}) {
    const agreement = await agree(name, properties);
    const activityId = await activityOf(agreement);
    const deployed = await perform(activityId, [{ deploy: {} }, { start: {} }]);
    return { agreement, activityId, deployed };
  }

  const invoiceOf = (agreement: string) =>
    eventually(async () => {
      const all = await payment.getInvoices(undefined, 100);
      return all.find(({ agreementId }) => agreementId === agreement);
    }, 5_000);
  const terminate = (agreement: string) => market.terminateAgreement(agreement, { message: 'done' });

  return {
    market,
    payment,
    control: activity.requestorControl,
    state: activity.requestorState,
    session,
    started,
    ...{ allocate, subscribe, events, negotiate, propose, agree, activityOf, exec, results, perform, ready },
    ...{ invoiceOf, terminate },
  };
}

type Properties = Record<string, unknown>;

/** What a demand says, as the SDK says it; a name leaves only that provider. */
export function demandBody(
  yagna: Yagna,
  more: { name?: string; properties?: Properties; constraints?: string } = {},
): MarketApi.DemandOfferBaseDTO {
  const { name, properties, constraints = '' } = more;
  const [image] = yagna.images;
  const own = name === undefined ? '' : `(golem.node.id.name=${name})`;
  return {
    properties: {
      'golem.srv.comp.expiration': Date.now() + HOUR_MS,
      'golem.node.debug.subnet': 'public',
      'golem.srv.comp.task_package': `hash:sha3:${image?.sha3}:${image?.url}`,
      'golem.com.payment.chosen-platform': PLATFORM,
      ...properties,
    },
    constraints: `(&(golem.runtime.name=vm)\n\t(golem.node.debug.subnet=public)${own}${constraints})`,
  };
}

export const sh = (line: string) => ({
  run: {
    entry_point: '/bin/sh',
    args: ['-c', line],
    capture: { stdout: { atEnd: { format: 'string' } }, stderr: { atEnd: { format: 'string' } } },
  },
});

/** The status and message that yagna refused with. */
export async function refusal(promise: Promise<unknown>): Promise<{ status: number; message: string }> {
  try {
    await promise;
  } catch (error) {
    const { status, body } = error as { status: number; body: { message?: string; detail?: string } };
    return { status, message: body.message ?? body.detail ?? '' };
  }
  throw new Error('it was not refused');
}
