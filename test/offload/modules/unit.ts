/** An enum: only a real TypeScript loader can run it, not one that strips types. */
export enum Unit {
  Metre = 'm',
  Second = 's',
}
