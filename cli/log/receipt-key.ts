import { createKey, readKey } from '../../attestation/keys/key-file.ts';
import { exchangeKeyFile } from '../../attestation/keys/exchange.ts';
import { newReceiptKey, receiptKey, type ReceiptKey } from '../../attestation/keys/receipt-key.ts';
import { endReceiptKey, receiptKeys, startReceiptKey } from '../../attestation/log/receipt-keys.ts';
import { readKeys, readReceiptSpki } from '../../store/log-keys.ts';
import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { isGiven, untilLogged, withLog, type LogDesk } from './database.ts';

/**
 * `beacon log rotate-receipt-key`: makes a new receipt key, has the old one vouch for it in the log, and puts it where the
 * workers find it. Interrupted anywhere, it goes on when it is run again.
 */
export async function rotateReceiptKey(context: Context): Promise<undefined> {
  await withLog(context, async (desk) => {
    const { pool, log, keys } = desk;
    const current = await currentReceiptKey(desk);
    const live = receiptKeys(await readKeys(pool, log.logId)).filter(({ ending }) => !ending);
    const found = await readKey(keys.nextReceipt);
    const old = live.find(({ keyId }) => keyId !== current.id);
    if (found === undefined && old !== undefined) {
      throw new CliError('refused', `the receipt key ${old.keyId} of the last rotation has not ended yet`, {
        next: `once every worker holds ${current.id}: beacon log end-receipt-key ${old.keyId}`,
      });
    }
    const next = receiptKey(found ?? (await createKey(keys.nextReceipt.file, newReceiptKey)));
    await startReceiptKey(pool, log.logId, next, current);
    const index = await untilLogged(context, desk, next.id, 1, 'see that a relay runs');
    const exchanged = !isGiven(keys.receipt);
    if (exchanged)
      await exchangeKeyFile(keys.receipt.file, keys.nextReceipt.file, desk.retired('receipt', current.id));
    const file = exchanged ? keys.receipt.file : keys.nextReceipt.file;
    if (context.json) {
      context.document({ key_id: next.id, start_index: index, previous: current.id, file, exchanged });
      return;
    }
    context.line(`receipt key ${next.id} started at entry ${index}, vouched for by ${current.id}`);
    context.note(
      exchanged
        ? `it is in ${file}: workers of this state folder take it within seconds; give it to all others`
        : `it is in ${file}: give it to every worker as BEACON_RECEIPT_KEY_PEM and start them again`,
    );
    context.note(`when all of them hold it: beacon log end-receipt-key ${current.id}`);
  });
  return undefined;
}

/** `beacon log end-receipt-key`: nothing that the key signs is logged from now on. */
export async function endOldReceiptKey(context: Context, given: string | undefined): Promise<undefined> {
  await withLog(context, async (desk) => {
    const { pool, log } = desk;
    const signer = await currentReceiptKey(desk);
    const others = receiptKeys(await readKeys(pool, log.logId)).filter(({ keyId }) => keyId !== signer.id);
    const id = given ?? others.find(({ ending }) => !ending)?.keyId ?? others.at(-1)?.keyId;
    const spki = id === undefined ? undefined : await readReceiptSpki(pool, id);
    if (id === undefined || spki === undefined) {
      throw new CliError(
        'not_found',
        id === undefined ? 'the log has one receipt key' : `the log knows no receipt key ${id}`,
        {
          next: '`beacon log keys` shows them; `beacon log rotate-receipt-key` starts another',
        },
      );
    }
    await endReceiptKey(pool, log.logId, { id, spki }, signer);
    const index = await untilLogged(context, desk, id, 2, 'see that a relay runs');
    if (context.json) context.document({ key_id: id, end_index: index, signer: signer.id });
    else context.line(`receipt key ${id} ended at entry ${index}; ${signer.id} signed that`);
  });
  return undefined;
}

async function currentReceiptKey({ keys }: LogDesk): Promise<ReceiptKey> {
  const key = await readKey(keys.receipt);
  if (key !== undefined) return receiptKey(key);
  throw new CliError('key_missing', `there is no receipt key at ${keys.receipt.file}`, {
    next: 'run it where a worker keeps its key (--state), or give BEACON_RECEIPT_KEY_PEM',
  });
}
