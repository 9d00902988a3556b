/** A connection whose handshake has not finished. */
export interface HalfOpenConnection {
  /** The address of the other end; undefined for a Unix socket. */
  readonly address: string | undefined
  readonly close: () => void
}

/**
 * The connections whose handshakes have not finished. If there are too many, a new one replaces the oldest connection of the address that
 * has the most. So connections that never finish their handshake do not lock out other clients, and a single machine that opens very many
 * connections loses only its own.
 */
export class HalfOpen<T extends HalfOpenConnection> {
  readonly #max: number
  /** The oldest is first. */
  readonly #connections = new Set<T>()
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Adds a connection. If there is no room, closes another one. */
  add(connection: T): void {
    const source = sourceOf(connection)
    this.#counts.set(source, (this.#counts.get(source) ?? 0) + 1)
    this.#connections.add(connection)
    if (this.#connections.size > this.#max) this.#closeOne()
  }

  /** Removes a connection. @returns whether it was there */
  delete(connection: T): boolean {
    if (!this.#connections.delete(connection)) return false
    const source = sourceOf(connection)
    const left = (this.#counts.get(source) ?? 0) - 1
    if (left > 0) this.#counts.set(source, left)
    else this.#counts.delete(source)
    return true
  }

  closeAll(): void {
    for (const connection of this.#connections) connection.close()
  }

  #closeOne(): void {
    let busiest = ''
    let most = 0
    for (const [source, count] of this.#counts) if (count > most) [busiest, most] = [source, count]
    for (const connection of this.#connections)
      if (sourceOf(connection) === busiest) {
        this.delete(connection)
        return connection.close()
      }
  }
}

/** A machine usually has a whole /64 of IPv6 addresses, so these count as one. */
function sourceOf({ address = '' }: HalfOpenConnection): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [before = '', after] = address.split('::', 2)
  const groups = before === '' ? [] : before.split(':')
  const rest = after === undefined || after === '' ? [] : after.split(':')
  const zeros = after === undefined ? 0 : 8 - groups.length - rest.length
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest].slice(0, 4).join(':')
}
