package kernels

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// embedded is the README and, once built, libingot.so: the pattern matches these two and
// not the variants for tests (libingot_san.so and the like), so that it matches
// something in a checkout where nothing was built.
//
//go:embed native/*[Et].*
var embedded embed.FS

const libraryFile = "native/libingot.so"

// symbols are the addresses of the library's functions.
type symbols struct{ open, close, run, packSize, repack, readRows, limits, adamw, squares uintptr }

// loaded keeps what was loaded, by path ("" is the embedded library): a library stays
// until the process ends, and so does the descriptor that it came from.
var loaded = struct {
	sync.Mutex
	symbols map[string]symbols
}{symbols: map[string]symbols{}}

// load returns the functions of the library at path, or where it is empty of the one
// that INGOT_KERNELS names, or of the embedded one.
func load(path string) (symbols, error) {
	if path == "" {
		path = os.Getenv("INGOT_KERNELS")
	}
	loaded.Lock()
	defer loaded.Unlock()
	if s, ok := loaded.symbols[path]; ok {
		return s, nil
	}
	handle, err := openLibrary(path)
	if err != nil {
		return symbols{}, err
	}
	s, err := lookup(handle)
	if err == nil {
		loaded.symbols[path] = s
	}
	return s, err
}

func openLibrary(path string) (handle uintptr, err error) {
	if path != "" {
		if handle, err = purego.Dlopen(path, purego.RTLD_NOW); err != nil {
			return 0, fmt.Errorf("cannot load the kernel library %q: %w", path, err)
		}
		return handle, nil
	}
	image, err := embedded.ReadFile(libraryFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errors.New("the binary was built without the native library (it needs a C compiler: make native)")
	}
	if err != nil {
		return 0, err
	}
	if handle, err = openSealed(image); err == nil {
		return handle, nil
	}
	handle, fileErr := openTemporary(image)
	if fileErr != nil {
		return 0, fmt.Errorf("cannot load the embedded kernel library: %w", errors.Join(err, fileErr))
	}
	return handle, nil
}

// openSealed loads an image from memory that nobody can change any more. The
// descriptor is never closed: the loader knows a library by its path, and the same
// /proc/self/fd number for another file would give the old library.
func openSealed(image []byte) (uintptr, error) {
	fd, err := unix.MemfdCreate("ingot-kernels", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3 knows no MFD_EXEC
		fd, err = unix.MemfdCreate("ingot-kernels", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return 0, fmt.Errorf("memfd: %w", err)
	}
	handle, err := openMemfd(fd, image)
	if err != nil {
		unix.Close(fd)
	}
	return handle, err
}

func openMemfd(fd int, image []byte) (uintptr, error) {
	for rest := image; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			return 0, fmt.Errorf("memfd: %w", err)
		}
		rest = rest[n:]
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return 0, fmt.Errorf("memfd: cannot seal: %w", err)
	}
	return purego.Dlopen(fmt.Sprintf("/proc/self/fd/%d", fd), purego.RTLD_NOW)
}

// openTemporary is for systems without memfd or /proc.
func openTemporary(image []byte) (uintptr, error) {
	f, err := os.CreateTemp("", "ingot-kernels-*.so")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name()) // a loaded library outlives its name
	if _, err = f.Write(image); err == nil {
		err = f.Close()
	}
	if err != nil {
		return 0, err
	}
	return purego.Dlopen(f.Name(), purego.RTLD_NOW)
}

func lookup(handle uintptr) (s symbols, err error) {
	for name, at := range map[string]*uintptr{
		"ingot_open": &s.open, "ingot_close": &s.close, "ingot_run": &s.run,
		"ingot_pack_size": &s.packSize, "ingot_repack": &s.repack, "ingot_read_rows": &s.readRows, "ingot_limits": &s.limits,
		"ingot_adamw": &s.adamw, "ingot_squares": &s.squares,
	} {
		if *at, err = purego.Dlsym(handle, name); err != nil {
			return symbols{}, fmt.Errorf("the kernel library has no function %s: %w", name, err)
		}
	}
	return s, nil
}

// call runs a C function of one pointer to native memory. The runtime's own way costs
// 23 ns and no allocation; purego, which makes it work without cgo, leans on the same
// function, so it is there to stay.
//
//go:linkname call runtime.cgocall
func call(fn uintptr, arg unsafe.Pointer) int32

// callOnce runs a C function on a copy of args in native memory and copies the result
// back: for what is not called in a step.
func callOnce[T number](fn uintptr, args *T) error {
	var a arena
	defer a.free()
	in, err := take[T](&a, 1)
	if err != nil {
		return err
	}
	in[0] = *args
	code := call(fn, unsafe.Pointer(&in[0]))
	*args = in[0]
	if code != 0 {
		return nativeError(code)
	}
	return nil
}
