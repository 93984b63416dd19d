/** The attempt was given up where it cost nothing yet, for a reason that says nothing of the place: it is asked again. */
export class HandedBack extends Error {
  override readonly name = 'HandedBack';
}
