// The emulator of bench/golem.js, in a process of its own.
import { startYagna } from '../../test/yagna/yagna.ts';

let yagna;
const answers = {
  async start({ providers }) {
    yagna = await startYagna({
      providers: Array.from({ length: providers }, (_, at) => ({ name: `provider-${at}`, region: 'US' })),
      funds: '1000000',
    });
    const { url, key, images } = yagna;
    return { url, key, image: images[0] };
  },
  worked: ({ activities }) => activities.map((id) => yagna.workedMs(id)),
  problems: () => yagna.books().problems,
};
process.on('message', async ({ id, ...asked }) => {
  const [name] = Object.keys(asked);
  try {
    process.send({ id, answer: await answers[name](asked[name]) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.on('disconnect', () => process.exit());
