// `npm run yagna-emulator [-- --port 7465] [-- --key KEY] [-- --provider name=paris,region=EU]…`: a daemon to play with.
import { parseArgs } from 'node:util';
import type { ProviderScript } from './provider.ts';
import { startYagna } from './yagna.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7465' },
    key: { type: 'string' },
    provider: { type: 'string', multiple: true },
  },
});

function providerOf(words: string): ProviderScript {
  const given = Object.fromEntries(words.split(',').map((word) => word.split('=', 2) as [string, string]));
  const { name, region, country, subnet, start, cpu, env, egress } = given;
  return {
    ...Object.fromEntries(
      Object.entries({ name, region, country, subnet, egress }).filter(([, value]) => value !== undefined),
    ),
    prices: Object.fromEntries(
      Object.entries({ start, cpuSec: cpu, envSec: env }).filter(([, value]) => value !== undefined),
    ),
    ...(egress === undefined ? {} : { allowedUrls: ['*'] }),
  };
}

const yagna = await startYagna({
  port: Number(values.port),
  ...(values.key === undefined ? {} : { appKey: values.key }),
  ...(values.provider === undefined ? {} : { providers: values.provider.map(providerOf) }),
});
const [image] = yagna.images;
console.log(`yagna emulator at ${yagna.url}, providers: ${yagna.providers.map(({ name }) => name).join(', ')}

export YAGNA_URL=${yagna.url} GOLEM_API_KEY=${yagna.key} GOLEM_NETWORK=testnet
# the image: ${image?.tag} = ${image?.url} sha3-224 ${image?.sha3}
# ctrl-C prints the books and ends`);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    console.log(JSON.stringify(yagna.books(), null, 2));
    void yagna.stop();
  });
