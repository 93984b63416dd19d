/** How a provider ends an agreement in the middle, as its event's reason names it. */
export type TerminationReason =
  | 'NoActivity'
  | 'DebitNotesDeadline'
  | 'DebitNoteNotPaid'
  | 'RequestorUnreachable'
  | 'Expired'
  | 'Shutdown'
  | 'InitializationError';

/** Dies without a word, or says goodbye; `afterMs` counts from the stage's beginning. */
type Leaves =
  { do: 'die'; afterMs?: number } | { do: 'terminate'; reason: TerminationReason; afterMs?: number };

/** What a provider does wrong, by the stage at which it does it. `times`: how often, for ever unless told. */
export type ProviderFault = { times?: number } & (
  | { at: 'offer'; do: 'silent' | 'without-prices' | 'without-usage' | 'malformed' }
  | { at: 'counter'; do: 'silent' | 'error' }
  | { at: 'counter'; do: 'reject'; reason?: string }
  | { at: 'approval'; do: 'never' | 'expire' }
  | { at: 'approval'; do: 'reject'; reason?: string }
  | { at: 'approval'; do: 'slow'; ms: number }
  | ({ at: 'approved' } & Leaves)
  | { at: 'create-activity'; do: 'error' | 'timeout' | 'hang' }
  | ({ at: 'deploy' } & (Leaves | { do: 'error'; message?: string } | { do: 'hang' }))
  | ({ at: 'run' } & (Leaves | { do: 'fail'; exit?: number } | { do: 'hang' }))
  | ({ at: 'transfer' } & (Leaves | { do: 'error'; message?: string } | { do: 'hang' }))
  | { at: 'results'; do: 'error' | 'timeout' | 'never' }
  | { at: 'state'; do: 'error' | 'timeout' }
  | { at: 'destroy'; do: 'error' | 'hang' }
  | { at: 'download'; do: 'tamper'; with: (bytes: Buffer, path: string) => Buffer }
  | { at: 'download'; do: 'bad-hash' }
  | { at: 'stdout'; do: 'tamper'; with: (text: string) => string }
  | { at: 'invoice'; do: 'none' | 'double' }
  | { at: 'invoice'; do: 'late'; ms: number }
  | { at: 'invoice'; do: 'overprice'; factor: string }
  | { at: 'debit-note'; do: 'none' }
  | { at: 'debit-note'; do: 'overprice'; factor: string }
);

export type FaultStage = ProviderFault['at'];

export interface ProviderFaults {
  add(fault: ProviderFault): void;
  clear(): void;
  /** Those with a number of times that did not all happen yet. */
  left(): ProviderFault[];
  /** The first fault of this stage that is left, and one time fewer of it. */
  take<S extends FaultStage>(stage: S): Extract<ProviderFault, { at: S }> | null;
}

export function createProviderFaults(scripted: ProviderFault[]): ProviderFaults {
  let faults = scripted.map((fault) => ({ ...fault }));
  return {
    add: (fault) => void faults.push({ ...fault }),
    clear: () => void (faults = []),
    left: () => faults.filter(({ times }) => times !== undefined && times > 0),
    take<S extends FaultStage>(stage: S) {
      const found = faults.find(({ at, times }) => at === stage && times !== 0);
      if (found?.times !== undefined) found.times--;
      return (found ?? null) as Extract<ProviderFault, { at: S }> | null;
    },
  };
}
