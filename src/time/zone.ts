/** A time zone: its offset from UTC, and the instants at which the offset changes. Pure, given the ICU data of the running Node. */
export class Zone {
  static readonly #known = new Map<string, Zone>()
  readonly #format: Intl.DateTimeFormat | undefined
  /** Caches the offset at the beginning of each day. */
  readonly #offsets = new Map<number, number>()
  /** Caches the changes by day, because schedules need the same few again and again. */
  readonly #changes = new Map<number, number>()

  /** Returns the zone with a name. @param name an IANA name that `Intl` knows */
  static of(name: string): Zone {
    const known = Zone.#known.get(name)
    if (known) return known
    const zone = new Zone(name)
    Zone.#known.set(name, zone)
    return zone
  }

  private constructor(name: string) {
    if (name === 'UTC') return
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    this.#format = format.resolvedOptions().timeZone === 'UTC' ? undefined : format
  }

  /** Returns how many milliseconds the zone's clocks are ahead of UTC at an instant. */
  offsetAt(instantMs: number): number {
    if (!this.#format) return 0
    const day = Math.floor(instantMs / DAY_MS)
    const change = this.#changeIn(day)
    return this.#offsetOfDay(change === undefined || instantMs < change ? day : day + 1)
  }

  /** Returns the first change after `afterMs`, up to and including `untilMs`. */
  changeAfter(afterMs: number, untilMs: number): number | undefined {
    if (!this.#format || untilMs <= afterMs) return undefined
    const last = Math.floor(untilMs / DAY_MS)
    for (let day = Math.floor(afterMs / DAY_MS); day <= last; day++) {
      const change = this.#changeIn(day)
      if (change !== undefined && change > afterMs && change <= untilMs) return change
    }
    return undefined
  }

  /** Returns the last change after `sinceMs`, up to and including `beforeMs`. */
  changeBefore(beforeMs: number, sinceMs: number): number | undefined {
    if (!this.#format || sinceMs >= beforeMs) return undefined
    const first = Math.floor(sinceMs / DAY_MS)
    for (let day = Math.floor(beforeMs / DAY_MS); day >= first; day--) {
      const change = this.#changeIn(day)
      if (change !== undefined && change <= beforeMs && change > sinceMs) return change
    }
    return undefined
  }

  /** Returns when the clocks change on a UTC day, if they do. A change at the first millisecond of a day belongs to the day before. */
  #changeIn(day: number): number | undefined {
    const before = this.#offsetOfDay(day)
    if (before === this.#offsetOfDay(day + 1)) return undefined
    const known = this.#changes.get(day)
    if (known !== undefined) return known
    let low = day * DAY_MS
    let high = low + DAY_MS
    while (high - low > 1_000) {
      const middle = low + Math.floor((high - low) / 2_000) * 1_000
      if (this.#measure(middle) === before) low = middle
      else high = middle
    }
    this.#changes.set(day, high)
    return high
  }

  #offsetOfDay(day: number): number {
    const known = this.#offsets.get(day)
    if (known !== undefined) return known
    const offset = this.#measure(day * DAY_MS)
    this.#offsets.set(day, offset)
    return offset
  }

  #measure(instantMs: number): number {
    const wholeMs = Math.floor(instantMs / 1_000) * 1_000
    const [day = 0, hour = 0, minute = 0, second = 0] = numbersIn(this.#format?.format(wholeMs) ?? '')
    const ahead = day - new Date(wholeMs).getUTCDate()
    // The zone's day can only be the same as the UTC day, the next or the previous one. A greater difference means that a month ends
    // between the two.
    const days = Math.abs(ahead) > 1 ? -Math.sign(ahead) : ahead
    return days * DAY_MS + (hour * 3_600 + minute * 60 + second) * 1_000 - mod(wholeMs, DAY_MS)
  }
}

/**
 * Returns the numbers in a string. A year has hundreds of days to measure, so it uses no regular expression: that would take as long as
 * `Intl` itself.
 */
function numbersIn(text: string): number[] {
  const numbers: number[] = []
  let isInside = false
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - ZERO
    const isDigit = digit >= 0 && digit <= 9
    if (isDigit) numbers.push(isInside ? 10 * (numbers.pop() ?? 0) + digit : digit)
    isInside = isDigit
  }
  return numbers
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by
}

const ZERO = '0'.charCodeAt(0)
const DAY_MS = 86_400_000
