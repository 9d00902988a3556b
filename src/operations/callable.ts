/** An object that can also be called as a function. The subclass has its methods. */
export abstract class Callable {
  constructor(call: (...args: never[]) => unknown) {
    // The object that a constructor returns becomes the instance, so it also gets the private fields of the class.
    return Object.setPrototypeOf(call, new.target.prototype) as Callable
  }
}
