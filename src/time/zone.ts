/** A time zone's offset from UTC, and the instants at which it changes. Pure, given the ICU data of the running Node. */
export class Zone {
  static readonly #known = new Map<string, Zone>()
  readonly #format: Intl.DateTimeFormat | undefined
  /** Caches the offset at the beginning of each day. */
  readonly #offsets = new Map<number, number>()
  /** Caches the changes by day, since schedules need the same few again and again. */
  readonly #changes = new Map<number, number>()

  /** @param name an IANA name that `Intl` knows */
  static of(name: string): Zone {
    const known = Zone.#known.get(name)
    if (known) return known
    const zone = new Zone(name)
    Zone.#known.set(name, zone)
    return zone
  }

  private constructor(name: string) {
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

  /** How many milliseconds the zone's clocks are ahead of UTC at an instant. */
  offsetAt(instantMs: number): number {
    if (!this.#format) return 0
    const day = Math.floor(instantMs / DAY_MS)
    const change = this.#changeIn(day)
    return this.#offsetOfDay(change === undefined || instantMs < change ? day : day + 1)
  }

  /** The first change after `afterMs` and up to `untilMs`. */
  changeAfter(afterMs: number, untilMs: number): number | undefined {
    if (!this.#format || untilMs <= afterMs) return undefined
    const last = Math.floor(untilMs / DAY_MS)
    for (let day = Math.floor(afterMs / DAY_MS); day <= last; day++) {
      const change = this.#changeIn(day)
      if (change !== undefined && change > afterMs && change <= untilMs) return change
    }
    return undefined
  }

  /** The last change up to `beforeMs` and after `sinceMs`. */
  changeBefore(beforeMs: number, sinceMs: number): number | undefined {
    if (!this.#format || sinceMs >= beforeMs) return undefined
    const first = Math.floor(sinceMs / DAY_MS)
    for (let day = Math.floor(beforeMs / DAY_MS); day >= first; day--) {
      const change = this.#changeIn(day)
      if (change !== undefined && change <= beforeMs && change > sinceMs) return change
    }
    return undefined
  }

  /** The change within a UTC day: after its first millisecond, up to and including the first of the next day. */
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
    // The zone's day is the same, the next or the previous one, so a greater difference is the end of a month.
    const days = Math.abs(ahead) > 1 ? -Math.sign(ahead) : ahead
    return days * DAY_MS + (hour * 3_600 + minute * 60 + second) * 1_000 - mod(wholeMs, DAY_MS)
  }
}

/** The numbers in a text. A regular expression would take as long as `Intl` itself, and a year has hundreds of days to measure. */
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
