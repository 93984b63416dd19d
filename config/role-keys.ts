import type { Values } from './variables.ts';

/** Who signs what (spec: core §10): the sequencer in the relay checkpoints, workers receipts, the API nothing. */
const OWN = {
  api: [],
  relay: ['BEACON_LOG_KEY_PEM', 'BEACON_LOG_NEXT_KEY_PEM', 'BEACON_COSIGNER_KEY_PEM'],
  worker: ['BEACON_RECEIPT_KEY_PEM'],
  golem: [],
} as const;

type KeyVariable = (typeof OWN)[keyof typeof OWN][number];
const KEYS: readonly KeyVariable[] = Object.values(OWN).flat();

/** The variables with keys that `role` must not hold. */
export function foreignKeys(role: keyof typeof OWN): KeyVariable[] {
  const own: readonly KeyVariable[] = OWN[role];
  return KEYS.filter((name) => !own.includes(name));
}

/** The settings without the keys of other roles, and which of those were set. */
export function withoutForeignKeys(
  role: keyof typeof OWN,
  settings: Values,
): { settings: Values; ignored: KeyVariable[] } {
  const ignored = foreignKeys(role).filter((name) => settings[name] !== null);
  return { settings: { ...settings, ...Object.fromEntries(ignored.map((name) => [name, null])) }, ignored };
}
