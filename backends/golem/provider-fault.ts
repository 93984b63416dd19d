import { Refusal } from '../refusal.ts';

/** The provider's doing: it is not asked again for a while. */
export class ProviderFault extends Refusal {
  override name = 'ProviderFault';
}
