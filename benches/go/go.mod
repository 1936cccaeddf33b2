module keyward.example/benches

go 1.19

require github.com/keyward/keyward/bindings/go v0.0.0

replace github.com/keyward/keyward/bindings/go => ../../bindings/go
