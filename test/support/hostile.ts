import { runInNewContext } from 'node:vm'

/** Throws the given value. */
export function raise(thrown: unknown): never {
  throw thrown
}

/** An object that throws from every trap, so nothing of it can be read. */
export function untouchable(target: object = {}): object {
  const refuse = (): never => {
    throw new Error('a trap threw')
  }
  const traps = Reflect.ownKeys(Reflect).filter((key) => typeof Reflect.get(Reflect, key) === 'function')
  return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, refuse])))
}

export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** An error with a field that throws when it is read. */
export function throwingField(field: string, thrown: unknown = new Error(`${field} threw`)): Error {
  return Object.defineProperty(new Error('the reason'), field, {
    get() {
      throw thrown
    },
  })
}

/** An error with a field of the wrong kind. */
export function oddField(field: string, value: unknown): Error {
  return Object.defineProperty(new Error('the reason'), field, { value })
}

/** A rejected promise that needs no handler. */
function rejected(reason: unknown): Promise<never> {
  const promise = Promise.resolve().then(() => raise(reason))
  promise.catch(() => {})
  return promise
}

class Treacherous extends Error {
  #reads = 0

  /** Can be read only once. */
  override get message(): string {
    if (this.#reads++ > 0) throw this
    return 'read once'
  }

  override set message(_text: string) {
    this.#reads = 0
  }
}

function circular(): Error {
  const error = new Error('goes round')
  error.cause = new Error('and back', { cause: error })
  return error
}

function endlessCauses(): Error {
  return Object.defineProperty(new Error('deep'), 'cause', { get: () => endlessCauses() })
}

/** Values that user code may throw, by name. Each call creates a new one. */
export const HOSTILE_THROWN: readonly (readonly [string, () => unknown])[] = [
  ...['message', 'stack', 'name', 'cause', 'code', 'errors', 'details', 'toString', 'toJSON', 'statusCode'].flatMap(
    (field) => [
      [`an error whose ${field} throws`, () => throwingField(field)] as const,
      [`an error whose ${field} throws what can't be read`, () => throwingField(field, untouchable())] as const,
      [`an error whose ${field} is a symbol`, () => oddField(field, Symbol('odd'))] as const,
      [`an error whose ${field} is an object without a prototype`, () => oddField(field, Object.create(null))] as const,
      [`an error whose ${field} is a proxy that throws`, () => oddField(field, untouchable())] as const,
      [`an error whose ${field} has 300,000 characters`, () => oddField(field, 'x'.repeat(300_000))] as const,
    ],
  ),
  ['an error that can be read once', () => new Treacherous()],
  ['a frozen error', () => Object.freeze(new Error('frozen'))],
  ['an error without a prototype', () => Object.setPrototypeOf(new Error('bare'), null) as unknown],
  ['an error whose prototype is a proxy', () => Object.setPrototypeOf(new Error('bare'), untouchable()) as unknown],
  ['an error whose causes go round', circular],
  ['an error whose causes never end', endlessCauses],
  [
    '100,000 errors in one',
    () => new AggregateError(Array.from({ length: 100_000 }, (_, n) => new Error(`part ${n}`))),
  ],
  [
    'an AggregateError of what can not be read',
    () => new AggregateError([untouchable(), revoked(), throwingField('message')]),
  ],
  ['an error whose list of errors is a proxy', () => oddField('errors', untouchable([]))],
  ['a proxy of an error that throws', () => untouchable(new Error('behind'))],
  ['a proxy that throws', () => untouchable()],
  ['a proxied function that throws', () => untouchable(() => {})],
  ['a revoked proxy', revoked],
  [
    'an object whose toJSON throws',
    () => ({
      toJSON: () => {
        raise(untouchable())
      },
    }),
  ],
  [
    'an object whose conversion throws',
    () => ({
      [Symbol.toPrimitive]: () => {
        throw new Error('no')
      },
    }),
  ],
  [
    'an object whose tag throws',
    () => ({
      get [Symbol.toStringTag]() {
        throw new Error('no')
      },
      toJSON() {
        throw new Error('no')
      },
    }),
  ],
  ['an object without a prototype', () => Object.create(null) as unknown],
  ['a function whose name is a symbol', () => Object.defineProperty(() => {}, 'name', { value: Symbol('odd') })],
  ['undefined', () => undefined],
  ['null', () => null],
  ['a symbol', () => Symbol('thrown')],
  ['a bigint', () => 10n],
  ['an error of another realm', () => runInNewContext('new TypeError("from elsewhere")') as unknown],
  [
    'a hostile error of another realm',
    () => runInNewContext('Object.defineProperty(new Error("x"), "message", { get() { throw 1 } })') as unknown,
  ],
]

/** Values that a handler may return but that can't be stored, by name. */
export const HOSTILE_RETURNED: readonly (readonly [string, () => unknown])[] = [
  [
    'an object whose then throws',
    () => ({
      get then() {
        throw new Error('then threw')
      },
    }),
  ],
  [
    'an object whose then throws what can not be read',
    () => ({
      get then() {
        return raise(untouchable())
      },
    }),
  ],
  [
    'a thenable that throws',
    () => ({
      then() {
        raise(untouchable())
      },
    }),
  ],
  [
    'a thenable that rejects with what can not be read',
    () => ({ then: (_: unknown, reject: (reason: unknown) => void) => reject(revoked()) }),
  ],
  [
    'a thenable that resolves to another that throws',
    () => ({
      then: (resolve: (value: unknown) => void) =>
        resolve({
          get then() {
            return raise(untouchable())
          },
        }),
    }),
  ],
  [
    'a promise whose constructor throws',
    () =>
      Object.defineProperty(Promise.resolve(1), 'constructor', {
        get() {
          raise(untouchable())
        },
      }),
  ],
  [
    'a promise whose then throws',
    () =>
      Object.assign(rejected(untouchable()), {
        then: () => {
          throw new Error('own then')
        },
      }),
  ],
  ['a proxy that throws', () => untouchable()],
  ['a proxied function that throws', () => untouchable(() => {})],
  ['a revoked proxy', revoked],
  [
    'an object whose toJSON throws',
    () => ({
      toJSON() {
        raise(untouchable())
      },
    }),
  ],
  [
    'an object with a getter that throws',
    () => ({
      get a() {
        return raise(throwingField('message'))
      },
    }),
  ],
  ['an object that holds a revoked proxy', () => ({ deep: { deeper: [revoked()] } })],
  ['a bigint', () => 10n],
  ['a symbol', () => Symbol('returned')],
]
