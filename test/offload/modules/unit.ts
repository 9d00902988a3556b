/** An enum: only a real TypeScript loader can run it, not one that strips types. */
// @ts-expect-error -- which is why the rest of Piko has none.
export enum Unit {
  Metre = 'm',
  Second = 's',
}
