"""A program says, does and leaves behind the same, plain and audited.

Each case costs two processes, so what does not end the program shares one.
"""

from __future__ import annotations

import pytest

from .twins import Twins, write

LOOK = """
    import sys, os
    print(__name__, __file__, __package__, __cached__, __doc__, __spec__, type(__loader__))
    print(list(globals()), type(__builtins__), __annotations__)
    print(getattr(__loader__, "name", None), getattr(__loader__, "path", None))
    print(sys.argv, sys.path, sys.flags, sys.modules["__main__"].__dict__ is globals())
    print(sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile())
    print(sys.stdout.encoding, sys.stdin, sys._getframe().f_code.co_filename, os.getcwd())
    print(sys.getrecursionlimit(), {"typer", "click", "rich", "torch"} & set(sys.modules))
    import warnings, signal, gc
    print(warnings.filters, gc.get_threshold())
    # before these versions the script may see our handler: see gradaudit.launch.signals
    if sys.version_info >= (3, 11, 3) or (3, 10, 11) <= sys.version_info < (3, 11):
        print([(s, signal.getsignal(s)) for s in signal.Signals])
    print({k: v for k, v in os.environ.items() if k != "_"})
    print(open(os.devnull).fileno())
"""

#: name -> source.  Every one of them runs without torch.
SCRIPTS = {
    "nothing special": """
        '''What it is.'''
        import inspect, linecache, pickle, signal, sys, threading, warnings
        x: int = 1
        def f(a: int = 1):
            warnings.warn("caller", DeprecationWarning, stacklevel=2)
        print(__doc__, __annotations__)
        f()
        warnings.warn("here")
        print(inspect.getsource(f), inspect.getmodule(f), linecache.getline(__file__, 2))
        class A: x = 1
        print(pickle.loads(pickle.dumps(A())).x, pickle.dumps(A))
        def g(): 1 / 0
        t = threading.Thread(target=g, name="worker"); t.start(); t.join()
        t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()
        import neighbour, rich, msgspec, typer
        print(neighbour.__file__, rich.__file__, msgspec.__file__, typer.__file__)
        print("x" is "y")
        sys.stderr.write("x\\n"); sys.stderr = None
        sys.stdout.write("no newline")
    """,
    "annotations are evaluated": "def f(x: undefined_name): pass",
    "exit 0, stdout closed": "import sys; print('a', flush=True); sys.stdout.close(); sys.exit(0)",
    "exit -1": "import sys; sys.exit(-1)",
    "exit 256": "import sys; sys.exit(256)",
    "exit text": "import sys; sys.stdout.write('out'); sys.exit('text')",
    "exit object in a handler": """
        try:
            1 / 0
        except ZeroDivisionError:
            raise SystemExit([1, None])
    """,
    "exception": """
        import sys
        def f():
            try:
                {}["a"]
            except KeyError as e:
                raise ValueError("b") from e
        sys.stdout.write("before")
        try:
            f()
        except ValueError:
            raise RuntimeError("c")
    """,
    "exception with a broken str": """
        class Bad(BaseException):
            def __str__(self): raise ValueError
        raise Bad
    """,
    "recursion": """
        import sys
        def f(): f()
        sys.excepthook = lambda kind, value, tb: print(kind, value, tb.tb_lineno)
        f()
    """,
    "syntax error": "print('never')\nif x\n    y\n",
    "tab error": "if 1:\n        x = 1\n\ty = 1\n",
    "own excepthook": """
        import sys
        def hook(kind, value, tb):
            n = 0
            while tb: n, tb = n + 1, tb.tb_next
            print("mine", kind.__name__, value, n)
        sys.excepthook = hook
        1 / 0
    """,
    "broken excepthook": """
        import sys
        def hook(kind, value, tb): raise ValueError("in the hook")
        sys.excepthook = hook
        1 / 0
    """,
    "excepthook that exits": """
        import sys
        sys.excepthook = lambda *a: sys.exit(7)
        1 / 0
    """,
    "no excepthook": "import sys\ndel sys.excepthook\n1 / 0",
    "the end, in its order": """
        import atexit, sys, threading, time
        class D:
            def __del__(self): print("deleted")
        d = D()
        def last(): print(sys.last_type, sys.last_value, sys.last_traceback.tb_lineno,
            getattr(sys, "last_exc", None), sys.exc_info())
        atexit.register(last)
        @atexit.register
        def leaving(): sys.exit(9)
        @atexit.register
        def failing(): 1 / 0
        def work():
            time.sleep(1)  # by then the main thread has shown its exception
            print("thread", threading.main_thread().is_alive())
        threading.Thread(target=work).start()
        1 / 0
    """,
    "trace function of its own": """
        import sys, atexit, threading
        def end(): print("end")
        atexit.register(end)
        def f(): pass
        def trace(frame, event, arg):
            print(event, frame.f_code.co_name)
        sys.settrace(trace)
        f()
    """,
    "nothing left to stand on": """
        import builtins, os, sys, tempfile
        d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)
        builtins.print = lambda *a, **k: None
        builtins.open = None
        sys.path[:] = []; sys.meta_path[:] = []
        sys.stdout = None
    """,
    "os._exit 5": "import os; print('lost'); os._exit(5)",
    "keyboard interrupt": """
        class D:
            def __del__(self): print("deleted")
        d = D()
        def f(): raise KeyboardInterrupt
        f()
    """,
    "interrupted from without": """
        import os, signal, time
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    """,
    "forks": """
        import os, signal, sys, threading, time
        pid = os.fork()
        if not pid: os._exit(0)
        print("by os._exit", os.waitpid(pid, 0)[1])
        pid = os.fork()
        if not pid: sum(range(10**11))  # in C, where no handler of Python's ever runs
        time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        print("by signal", os.waitpid(pid, 0)[1])
        sys.stdout.flush()
        pid = os.fork()
        if not pid: sys.exit(3)
        print("by its end", os.waitpid(pid, 0)[1])
        def work():
            pid = os.fork()
            if not pid:
                signal.raise_signal(signal.SIGTERM)
                os._exit(0)
            print("from a thread", os.waitpid(pid, 0)[1])
        t = threading.Thread(target=work); t.start(); t.join()
    """,
    "own handler of SIGTERM": """
        import os, signal
        import sys
        old = signal.signal(signal.SIGTERM, lambda *a: print("mine"))
        if sys.version_info >= (3, 11, 3) or (3, 10, 11) <= sys.version_info < (3, 11):
            print(old, old is signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        print("alive")
    """,
    "SIGTERM set to its default": """
        import os, signal
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        os.fork() or signal.raise_signal(signal.SIGTERM)
        print(os.wait()[1])
    """,
    "processes by spawn and fork": """
        import multiprocessing as mp, sys
        class A:
            def __init__(self, x): self.x = x
        def f(a):
            return a.x + 1, a.__class__.__module__
        if __name__ == "__main__":
            for method in ("spawn", "fork"):
                with mp.get_context(method).Pool(1) as pool:
                    print(method, pool.map(f, [A(1), A(2)]))
    """,
    "a process started without the guard": """
        import multiprocessing, sys
        class Shout:
            def __init__(self): self.word = "shout"
            def run(self): print(self.word, flush=True)
        multiprocessing.set_start_method("spawn", force=True)
        p = multiprocessing.Process(target=Shout().run); p.start(); p.join()
        print(p.exitcode)
    """,
    "a process that fails": """
        import multiprocessing, sys
        def fail(word): raise ValueError(word)
        if __name__ == "__main__":
            for method in ("spawn", "fork"):
                p = multiprocessing.get_context(method).Process(target=fail, args=("no",), name="a")
                p.start(); p.join(); print(p.exitcode, flush=True)
    """,
    "latin-1": "# -*- coding: latin-1 -*-\nprint(ascii('\\xe4'), ascii('ä'))\n",
    "byte order mark, carriage returns": "\ufeffprint(1)\r\nx = '''a\r\nb'''\r\nprint(ascii(x))",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(tmp_path, name):
    write(tmp_path / "train.py", SCRIPTS[name])
    for neighbour in ("neighbour", "rich", "msgspec", "typer"):
        write(tmp_path / f"{neighbour}.py", "")
    Twins(tmp_path, "train.py").same()


@pytest.mark.parametrize("name", ["exception", "exit text"])
@pytest.mark.parametrize("target", [("train.py",), ("-m", "train")])
def test_order_of_stdout_and_stderr(tmp_path, name, target):
    write(tmp_path / "train.py", SCRIPTS[name])
    Twins(tmp_path, *target, merged=True).same()


@pytest.mark.parametrize(
    ("target", "flags", "env"),
    [
        (("train.py", "--lr", "3", "-x", "--help", "-m", "a", "--", "--json"), (), {}),
        (("./deep/../train.py",), ("-O", "-B", "-W", "error::UserWarning"), {}),
        (("deep/link.py", "a b", ""), ("-s",), {}),
        (("train.py",), (), {"PYTHONSAFEPATH": "1"}),
        (("-m", "train", "--lr", "3", "--", "-m"), ("-O",), {}),
        (("-m", "package", "-q"), (), {}),
        (("-m", "package.inner"), (), {}),
    ],
    ids=" ".join,
)
def test_what_main_sees(tmp_path, target, flags, env):
    write(tmp_path / "train.py", LOOK)
    write(tmp_path / "package/__init__.py", "import sys; print('package', sys.argv)")
    write(tmp_path / "package/__main__.py", LOOK)
    write(tmp_path / "package/inner.py", LOOK)
    write(tmp_path / "elsewhere/real.py", LOOK)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/link.py").symlink_to("../elsewhere/real.py")
    Twins(tmp_path, *target, flags=flags, env=env).same()


def test_absolute_path(tmp_path):
    script = write(tmp_path / "train.py", LOOK)
    Twins(tmp_path.parent, str(script)).same()


@pytest.mark.parametrize("body", ["1 / 0", "raise KeyboardInterrupt", "if x"])
def test_module_that_fails(tmp_path, body):
    write(tmp_path / "package/__init__.py", "")
    write(tmp_path / "package/train.py", body)
    Twins(tmp_path, "-m", "package.train").same()


def test_parent_package_that_fails(tmp_path):
    write(tmp_path / "package/__init__.py", "1 / 0")
    write(tmp_path / "package/train.py", "")
    Twins(tmp_path, "-m", "package.train").same()
