import { z } from 'zod';
import type { StoredCosignature } from '../../../store/log-cosignatures.ts';

/** That somebody saw a checkpoint and found it to follow from the one before. */
export const cosignature = z.object({
  name: z.string().describe("The witness's, or that of the operator's own cosigner."),
  key_id: z.string().describe('Hex.'),
  line: z.string().describe('The signature line of the note (C2SP tlog-cosignature).'),
  signed_at: z.iso.datetime().describe('As the line says.'),
});

export function cosignatureView({
  cosigner,
  keyId,
  line,
  signedAt,
}: StoredCosignature): z.infer<typeof cosignature> {
  return { name: cosigner, key_id: keyId, line: line.trimEnd(), signed_at: signedAt.toISOString() };
}

/** The note with the lines below those of the log: what tools with a policy of witnesses read. */
export function cosigned(note: string, cosignatures: readonly StoredCosignature[]): string {
  return note + cosignatures.map(({ line }) => line).join('');
}
