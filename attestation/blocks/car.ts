import { CarWriter } from '@ipld/car';
import type { CID } from 'multiformats/cid';
import type { Queryable } from '../../store/pool.ts';
import type { Block } from './read-block.ts';
import { resolvePath } from './resolve.ts';
import { selectBlocks } from './walk.ts';

/** A CAR (version 1) of `blocks`, as they come; it holds one block at a time. */
export async function* carOf(roots: CID[], blocks: AsyncIterable<Block>): AsyncGenerator<Uint8Array, void> {
  const { writer, out } = CarWriter.create(roots);
  let broken: { error: unknown } | undefined;
  const written = (async () => {
    try {
      for await (const block of blocks) await writer.put(block);
    } catch (error) {
      broken = { error };
    }
    await writer.close();
  })();
  for await (const chunk of out) yield chunk;
  await written;
  if (broken !== undefined) throw broken.error;
}

/** Everything below `root` as a CAR, each block once; undefined when the root is not here. */
export async function wholeCar(
  db: Queryable,
  root: CID,
): Promise<AsyncGenerator<Uint8Array, void> | undefined> {
  const resolved = await resolvePath(db, root, []);
  if (resolved === undefined) return undefined;
  return carOf([root], selectBlocks(db, resolved, { scope: 'all', duplicates: false }));
}
