import type { PaymentApi } from 'ya-ts-client';
import { z } from 'zod';
import { microseconds, type Clock } from './clock.ts';
import { bodyOf, created, Failure, maximum, ok, type Call, type Route } from './http.ts';
import { uuid } from './ids.ts';
import { amount, isAmount, sum, textOf, zero, type Amount } from './money.ts';
import { platformOf } from './provider.ts';

export interface Allocation {
  readonly id: string;
  readonly platform: string;
  total: Amount;
  spent: Amount;
  readonly timestamp: string;
  timeout: string | null;
  released: boolean;
}

export interface Allocations {
  routes: Route[];
  all(): Allocation[];
  /** Neither released nor past its time. */
  isOpen(allocation: Allocation): boolean;
  /** Takes from the allocation, or fails as yagna does. */
  spend(id: string, amount: Amount): Allocation;
}

const PATH = '/payment-api/v1/allocations';
const DRIVER_NETWORKS = [
  'mainnet',
  'sepolia',
  'rinkeby',
  'goerli',
  'holesky',
  'hoodi',
  'polygon',
  'mumbai',
  'amoy',
];
const PLATFORMS = DRIVER_NETWORKS.map(platformOf);
const decimal = z.string().refine(isAmount, 'must be a decimal amount');
const wanted = z.object({
  totalAmount: decimal,
  paymentPlatform: z.string().optional(),
  address: z.string().optional(),
  timeout: z.iso.datetime({ offset: true }).optional(),
});
const update = z.object({
  totalAmount: decimal.optional(),
  timeout: z.iso.datetime({ offset: true }).optional(),
});

export function createAllocations(parts: { clock: Clock; identity: string; funds: Amount }): Allocations {
  const allocations = new Map<string, Allocation>();
  const isOpen = ({ released, timeout }: Allocation) =>
    !released && (timeout === null || microseconds(timeout) > parts.clock.now() * 1000);
  const remaining = (allocation: Allocation) =>
    isOpen(allocation) ? allocation.total.minus(allocation.spent) : zero();

  const find = (id: string): Allocation => {
    const found = allocations.get(id);
    if (found === undefined) throw new Failure(404, `Allocation ${id} not found`);
    if (!isOpen(found)) throw new Failure(410, `Allocation ${id} has been already released`);
    return found;
  };
  const checkFunds = (more: Amount) => {
    const all = [...allocations.values()];
    const held = sum([...all.map(({ spent }) => spent), ...all.map(remaining)]);
    if (held.plus(more).gt(parts.funds))
      throw new Failure(
        400,
        'Insufficient funds to make allocation. Top up your account or release all existing allocations to unlock the funds',
        true,
      );
  };
  const checkTimeout = (timeout: string | undefined) => {
    if (timeout !== undefined && microseconds(timeout) <= parts.clock.now() * 1000)
      throw new Failure(400, 'Allocation timeout is in the past', true);
  };

  function dtoOf(allocation: Allocation): PaymentApi.AllocationDTO {
    const { id, platform, total, spent, timestamp, timeout } = allocation;
    return {
      allocationId: id,
      address: parts.identity,
      paymentPlatform: platform,
      totalAmount: textOf(total),
      spentAmount: textOf(spent),
      remainingAmount: textOf(remaining(allocation)),
      timestamp,
      ...(timeout === null ? {} : { timeout }),
      makeDeposit: false,
    };
  }

  function create(call: Call) {
    const body = bodyOf(wanted, call);
    const platform = body.paymentPlatform ?? platformOf('hoodi');
    if (!PLATFORMS.includes(platform)) throw new Failure(400, `Invalid payment platform ${platform}`, true);
    if ((body.address ?? parts.identity) !== parts.identity)
      throw new Failure(400, `Account ${body.address} is not registered`, true);
    const total = amount(body.totalAmount);
    checkTimeout(body.timeout);
    checkFunds(total);
    const allocation: Allocation = {
      id: uuid(),
      platform,
      total,
      spent: zero(),
      timestamp: parts.clock.stamp(),
      timeout: body.timeout ?? null,
      released: false,
    };
    allocations.set(allocation.id, allocation);
    return created(dtoOf(allocation));
  }

  function amend(call: Call) {
    const allocation = find(call.params.allocation ?? '');
    const { totalAmount, timeout } = bodyOf(update, call);
    checkTimeout(timeout);
    if (totalAmount !== undefined) {
      const total = amount(totalAmount);
      if (total.lt(allocation.spent))
        throw new Failure(400, 'Allocation is smaller than what is spent', true);
      checkFunds(total.minus(allocation.total));
      allocation.total = total;
    }
    if (timeout !== undefined) allocation.timeout = timeout;
    return ok(dtoOf(allocation));
  }

  function listed(call: Call) {
    const after = call.query.get('afterTimestamp');
    const from = after === null ? -Infinity : microseconds(after);
    const max = maximum(call, 'maxItems', 100);
    const found = [...allocations.values()].filter(
      (one) => isOpen(one) && microseconds(one.timestamp) > from,
    );
    return ok(found.slice(0, max).map(dtoOf));
  }

  /** What a demand must say so that it can be paid from these allocations. */
  function decorations(call: Call) {
    const ids = call.query.getAll('allocationIds').flatMap((text) => text.split(','));
    const platforms = [...new Set(ids.map((id) => find(id).platform))];
    const address = (platform: string) => `golem.com.payment.platform.${platform}.address`;
    const clauses = platforms.map((platform) => `(${address(platform)}=*)`);
    const decoration: PaymentApi.MarketDecorationDTO = {
      properties: [
        ...platforms.map((platform) => ({ key: address(platform), value: parts.identity })),
        { key: 'golem.com.payment.protocol.version', value: '3' },
      ],
      constraints: [
        clauses.length === 1 ? clauses[0]! : `(|${clauses.join('')})`,
        '(golem.com.payment.protocol.version>1)',
      ],
    };
    return ok(decoration);
  }

  return {
    routes: [
      { method: 'POST', pattern: PATH, handler: create },
      { method: 'GET', pattern: PATH, handler: listed },
      {
        method: 'GET',
        pattern: `${PATH}/{allocation}`,
        handler: (call) => ok(dtoOf(find(call.params.allocation ?? ''))),
      },
      { method: 'PUT', pattern: `${PATH}/{allocation}`, handler: amend },
      {
        method: 'DELETE',
        pattern: `${PATH}/{allocation}`,
        handler: (call) => {
          find(call.params.allocation ?? '').released = true;
          return ok(null);
        },
      },
      { method: 'GET', pattern: '/payment-api/v1/demandDecorations', handler: decorations },
      {
        method: 'GET',
        pattern: '/payment-api/v1/requestorAccounts',
        handler: () =>
          ok(
            PLATFORMS.map((platform) => {
              const [driver = '', network = '', token = ''] = platform.split('-');
              return {
                platform,
                address: parts.identity,
                driver,
                network,
                token,
                send: true,
                receive: false,
              };
            }),
          ),
      },
    ],
    all: () => [...allocations.values()],
    isOpen,
    spend(id, wanted) {
      const allocation = find(id);
      if (remaining(allocation).lt(wanted))
        throw new Failure(
          400,
          `Not enough funds. Allocated: ${textOf(remaining(allocation))} Needed: ${textOf(wanted)}`,
        );
      allocation.spent = allocation.spent.plus(wanted);
      return allocation;
    },
  };
}
