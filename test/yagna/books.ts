import type { Activities } from './activities.ts';
import type { Agreement, Agreements } from './agreements.ts';
import type { Allocations } from './allocations.ts';
import type { Demands } from './demands.ts';
import type { Document, Documents } from './documents.ts';
import { sum, textOf, zero, type Amount } from './money.ts';

/** One agreement's side of the books; amounts are GLM. */
export interface AgreementAccount {
  agreementId: string;
  providerId: string;
  state: string;
  /** The token that a demand carries, if any. */
  attempt: string | null;
  /** Of the final invoice, else of the last debit note of each activity. */
  billed: string;
  accepted: string;
  /** What the usage costs by the agreed prices. */
  honest: string;
}

export interface Books {
  openAgreements: string[];
  openActivities: string[];
  openAllocations: string[];
  openDemands: string[];
  /** GFTP addresses that are still bound. */
  boundServices: string[];
  agreements: AgreementAccount[];
  /** Over all allocations, released ones too. */
  spent: string;
  /** Over all agreements. */
  accepted: string;
  /** Everything that is not right, in words; empty when the books are. */
  problems: string[];
}

export interface BookParts {
  agreements: Agreements;
  activities: Activities;
  allocations: Allocations;
  demands: Demands;
  documents: Documents;
  bound(): string[];
}

export function keepBooks(parts: BookParts): Books {
  const documents = parts.documents.all();
  const accounts = parts.agreements.all().map((agreement) => accountOf(agreement, documents));
  const spent = sum(parts.allocations.all().map((allocation) => allocation.spent));
  const accepted = sum(accounts.map((account) => account.accepted));
  const open = {
    openAgreements: parts.agreements
      .all()
      .filter(({ state }) => ['Proposal', 'Pending', 'Approved'].includes(state))
      .map(({ id }) => id),
    openActivities: parts.activities.open().map(({ id }) => id),
    openAllocations: parts.allocations
      .all()
      .filter(parts.allocations.isOpen)
      .map(({ id }) => id),
    openDemands: parts.demands.open().map(({ id }) => id),
  };
  return {
    ...open,
    boundServices: parts.bound(),
    agreements: accounts.map((account) => ({
      ...account,
      billed: textOf(account.billed),
      accepted: textOf(account.accepted),
      honest: textOf(account.honest),
    })),
    spent: textOf(spent),
    accepted: textOf(accepted),
    problems: [
      ...Object.entries(open).flatMap(([name, ids]) => ids.map((id) => `${SINGULAR[name] ?? name} ${id}`)),
      ...accounts.flatMap(({ problems }) => problems),
      ...(spent.eq(accepted)
        ? []
        : [`allocations spent ${textOf(spent)}, accepted documents say ${textOf(accepted)}`]),
    ],
  };
}

const SINGULAR: Record<string, string> = {
  openAgreements: 'open agreement',
  openActivities: 'open activity',
  openAllocations: 'open allocation',
  openDemands: 'open demand',
};

type Account = Omit<AgreementAccount, 'billed' | 'accepted' | 'honest'> &
  Record<'billed' | 'accepted' | 'honest', Amount> & { problems: string[] };

function accountOf(agreement: Agreement, all: Document[]): Account {
  const documents = all.filter((document) => document.agreement === agreement);
  const invoices = documents.filter(({ kind }) => kind === 'invoice');
  const notes = lastNotes(documents);
  const paid = invoices.filter(isAccepted);
  const final = invoices.length > 0 ? invoices.slice(-1) : notes;
  const attempt = agreement.demand.properties['golem.beacon.attempt'];
  return {
    agreementId: agreement.id,
    providerId: agreement.provider.id,
    state: agreement.state,
    attempt: typeof attempt === 'string' ? attempt : null,
    billed: sum(final.map(({ amount }) => amount)),
    accepted: acceptedOf(paid, documents),
    honest: sum(final.map(({ honest }) => honest)),
    problems: paid.length > 1 ? [`agreement ${agreement.id} was paid by ${paid.length} invoices`] : [],
  };
}

/** The final invoice, else the last accepted note of each activity. */
function acceptedOf(paid: Document[], documents: Document[]): Amount {
  if (paid.length > 0) return sum(paid.map(({ accepted }) => accepted));
  const notes = lastNotes(documents.filter(isAccepted));
  return notes.reduce((total, { accepted }) => total.plus(accepted), zero());
}

function lastNotes(documents: Document[]): Document[] {
  const last = new Map(
    documents.filter(({ kind }) => kind === 'debit-note').map((note) => [note.activity, note]),
  );
  return [...last.values()];
}

const isAccepted = ({ status }: Document) => status === 'ACCEPTED' || status === 'SETTLED';
