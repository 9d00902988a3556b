/**
 * Runs in the sandbox before the source. It saves built-in functions, because the source could replace them. Its value is a function that
 * the thread calls with a step's name and arguments.
 */
export const PRELUDE = `(() => {
  const { parse, stringify } = JSON
  const { apply } = Reflect
  const { then } = Promise.prototype
  const settle = Promise.resolve.bind(Promise)
  const text = String
  const cut = (value) => { try { return apply(''.slice, text(value), [0, 2000]) } catch { return '' } }
  const describe = (thrown) => {
    const isObject = typeof thrown === 'object' && thrown !== null
    return stringify(isObject
      ? { name: cut(thrown.name ?? 'Error'), message: cut(thrown.message ?? ''), stack: cut(thrown.stack ?? '') }
      : { name: 'Error', message: 'it threw ' + cut(thrown), stack: '' })
  }
  let end
  return (step, value, args) => {
    if (step === 'describe') return describe(value)
    if (step === 'end') return end
    try {
      const result = step === 'call' ? apply(value, undefined, parse(args)) : value
      apply(then, settle(result), [
        (done) => { try { end = 'done' + (stringify(done) ?? '') } catch (thrown) { end = 'error' + describe(thrown) } },
        (thrown) => { end = 'error' + describe(thrown) },
      ])
    } catch (thrown) {
      end = 'error' + describe(thrown)
    }
  }
})()`

/** Returns code that replaces `Date`. The new one always shows the given time. */
export function clockAt(ms: number): string {
  return `(() => {
  const Real = Date
  const now = ${JSON.stringify(ms)}
  function Given(...parts) {
    if (!new.target) return new Real(now).toString()
    return Reflect.construct(Real, parts.length === 0 ? [now] : parts, new.target)
  }
  Given.prototype = Real.prototype
  Object.defineProperty(Real.prototype, 'constructor', { value: Given, writable: true, configurable: true })
  Given.now = () => now
  Given.parse = Real.parse
  Given.UTC = Real.UTC
  Object.defineProperty(Given, 'name', { value: 'Date' })
  globalThis.Date = Given
})()`
}
