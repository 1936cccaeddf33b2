module keyward.example/authd

go 1.19
