module github.com/keyward/keyward/bindings/go

go 1.19
