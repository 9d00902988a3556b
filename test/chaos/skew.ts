// Preloaded by nodes of the chaos suite: shifts this process's clock in all its threads.
const skewMs = Number(process.env['CHAOS_SKEW_MS'] ?? 0)

if (skewMs !== 0) {
  const RealDate = Date
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [RealDate.now() + skewMs] : args, newTarget) as object,
    apply: () => new Date().toString(),
    get: (target, key, receiver) =>
      key === 'now' ? () => RealDate.now() + skewMs : (Reflect.get(target, key, receiver) as unknown),
  })
}
