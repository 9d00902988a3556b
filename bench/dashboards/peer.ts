/** What a module in bench/peers serves; it is outside the type check, because its packages are installed only for a benchmark. */
export interface Peer {
  readonly url: string
  readonly version: string
  close(): Promise<unknown>
}

export async function servePeer(file: string, place: string): Promise<Peer> {
  const module = (await import(new URL(`../peers/${file}`, import.meta.url).href)) as {
    readonly default: (place: string) => Promise<Peer>
  }
  return module.default(place)
}
