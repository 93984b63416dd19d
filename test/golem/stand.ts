import type { GolemBackend } from '../../backends/golem/index.ts';
import { startCore, type Core } from '../support/core.ts';
import { golemOn, IMAGE } from '../support/golem.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import type { ProviderScript } from '../yagna/provider.ts';
import { startYagna, type Yagna } from '../yagna/yagna.ts';

/** Everything that a job asks for runs on Golem. */
export const ONLY_GOLEM = { backends: { '*': ['golem'] } };

export interface JobStand extends AsyncDisposable {
  yagna: Yagna;
  core: Core;
}
export interface GolemStand extends JobStand {
  golem: GolemBackend;
}

/** What is placed anywhere but on Golem is answered, so that a test sees it. */
const elsewhere = () => scriptedBackend(() => ({ kind: 'answer', text: 'local' }));

/** A market and what runs jobs, without a worker that serves Golem: those are processes of their own. */
export async function jobStand(providers: ProviderScript[]): Promise<JobStand> {
  const yagna = await startYagna({ providers });
  const core = await startCore(elsewhere());
  return {
    yagna,
    core,
    async [Symbol.asyncDispose]() {
      await core[Symbol.asyncDispose]();
      await yagna.stop();
    },
  };
}

/** The same with a worker in this process that serves Golem. */
export async function golemStand(
  providers: ProviderScript[],
  given: Parameters<typeof golemOn>[1] = {},
): Promise<GolemStand> {
  const yagna = await startYagna({ providers });
  const golem = golemOn(yagna, given);
  const core = await startCore(elsewhere(), { golem });
  return {
    yagna,
    golem,
    core,
    async [Symbol.asyncDispose]() {
      await core[Symbol.asyncDispose]();
      await golem[Symbol.asyncDispose]();
      await yagna.stop();
    },
  };
}

/** For processes that serve Golem. */
export function golemEnvironment({ url, key, images }: Yagna): Record<string, string> {
  const [image] = images;
  return {
    YAGNA_URL: url,
    GOLEM_API_KEY: key,
    GOLEM_IMAGES: JSON.stringify({ [IMAGE]: { url: image!.url, sha3_224: image!.sha3 } }),
  };
}
